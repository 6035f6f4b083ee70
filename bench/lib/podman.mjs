import { spawn } from 'node:child_process';
import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { REDIS } from './cluster.mjs';
import { plainPod } from './pods.mjs';
import { PrivateView } from './private-view.mjs';

/** Runs a program to its end: its exit code, what it said, and how long it took. */
function run(program, args, input) {
  const began = performance.now();
  return new Promise((resolve) => {
    const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'] });
    let said = '';
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk) => {
        said += chunk;
      });
    child.on('error', (error) => resolve({ code: 127, said: error.message, ms: 0 }));
    // Not `close`: conmon keeps the pipes open for as long as its container lives.
    child.on('exit', (code) => resolve({ code, said, ms: performance.now() - began }));
    child.stdin.on('error', () => {});
    if (input) input.pipe(child.stdin);
    else child.stdin.end();
  });
}

/** podman asks for limits higher than it has, which needs CAP_SYS_RESOURCE; low ones are always allowed. */
const CONFIGURATION = '[containers]\ndefault_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]\n';

/** Debian's podman with storage, network and state of its own. */
export class Podman {
  #view;
  #directory;

  /**
   * Resolves with a string that says why where podman cannot be compared with.
   * @param {import('./stage.mjs').Room} room @param {string} imagesDir where the cluster keeps its images
   */
  static async open(room, imagesDir) {
    if ((await run('podman', ['--version'])).code !== 0)
      return 'podman is not installed: apt-get install --no-install-recommends podman crun catatonit containernetworking-plugins';
    const podman = new Podman();
    podman.#directory = join(room.directory, 'podman');
    mkdirSync(podman.#directory);
    writeFileSync(join(podman.#directory, 'containers.conf'), CONFIGURATION);
    podman.#view = await PrivateView.open(room);
    const imported = await podman.#import(imagesDir);
    if (imported.code !== 0) return `podman import: ${imported.said.trim()}`;
    // The first pod makes the image of its infrastructure container; not a part of what is compared.
    const warm = await podman.play('warm-up');
    if (warm.code !== 0) return `podman kube play: ${warm.said.trim()}`;
    await podman.down('warm-up');
    return podman;
  }

  run(...args) {
    return run(...this.#inside(args));
  }

  #inside(args) {
    const environment = `CONTAINERS_CONF=${join(this.#directory, 'containers.conf')}`;
    return this.#view.inside('env', [environment, 'podman', ...this.#storage(), ...args]);
  }

  #storage() {
    const at = (name) => join(this.#directory, name);
    const places = ['--root', at('root'), '--runroot', at('run'), '--tmpdir', at('tmp')];
    return [...places, '--cgroup-manager', 'cgroupfs', '--events-backend', 'none'];
  }

  /** The same root file system as the cluster's image. */
  #import(imagesDir) {
    const record = readdirSync(join(imagesDir, 'images'))[0];
    const { layers } = JSON.parse(readFileSync(join(imagesDir, 'images', record), 'utf8'));
    const rootfs = join(this.#directory, 'rootfs');
    // Topmost first in the record; a layer that deletes has been merged with those below it.
    for (const layer of [...layers].reverse())
      cpSync(join(imagesDir, 'layers', layer, 'root'), rootfs, { recursive: true, verbatimSymlinks: true });
    const tar = spawn('tar', ['-C', rootfs, '-c', '.']);
    return run(...this.#inside(['import', '-q', '-', REDIS]), tar.stdout);
  }

  #manifest(names) {
    const file = join(this.#directory, `${names[0]}-${names.length}.yaml`);
    writeFileSync(file, names.map((name) => JSON.stringify(plainPod(name))).join('\n---\n'));
    return file;
  }

  /** `podman kube play`: returns when the pods run. */
  play(...names) {
    return this.run('kube', 'play', this.#manifest(names));
  }

  /** `podman kube down`: returns when they are gone. */
  down(...names) {
    return this.run('kube', 'down', this.#manifest(names));
  }

  /** Removes every pod, without grace. */
  clear() {
    return this.run('pod', 'rm', '-af', '-t', '0');
  }

  async close() {
    await this.clear();
    this.#view.close();
  }
}
