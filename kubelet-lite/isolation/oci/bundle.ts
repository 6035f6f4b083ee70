import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  copyFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { coreBinary } from '../../runtime/native/test-pods.js';

/** The built core. Call {@link makeCore} once before it is used. */
export { coreBinary };

export function makeCore(): void {
  const made = spawnSync('make', ['--silent', '--no-print-directory', '-C', resolve('kubelet-lite/isolation')]);
  if (made.status !== 0) throw new Error(`make: ${made.stderr}`);
}

/** Why containers cannot be made here, or undefined when they can. */
export function cannotRun(): string | undefined {
  if (process.getuid?.() !== 0) return 'needs root';
  return existsSync('/bin/busybox') ? undefined : 'needs a static busybox in /bin';
}

export interface Config {
  [member: string]: unknown;
  process?: Record<string, unknown>;
  linux?: Record<string, unknown>;
}

const capabilities = ['CAP_CHOWN', 'CAP_KILL', 'CAP_SETUID', 'CAP_SETGID', 'CAP_NET_BIND_SERVICE'];

/** A configuration like engines write it; `changes` replace its members, those of process and linux one by one. */
export function config(args: readonly string[], changes: Config = {}): Config {
  return {
    ociVersion: '1.0.2',
    hostname: 'box',
    root: { path: 'rootfs' },
    mounts: [
      { destination: '/proc', type: 'proc', source: 'proc' },
      { destination: '/dev', type: 'tmpfs', source: 'tmpfs', options: ['nosuid', 'mode=755'] },
      {
        destination: '/dev/pts',
        type: 'devpts',
        source: 'devpts',
        options: ['newinstance', 'ptmxmode=0666', 'mode=0620'],
      },
    ],
    ...changes,
    process: {
      args,
      env: ['PATH=/bin'],
      cwd: '/',
      user: { uid: 0, gid: 0 },
      capabilities: { bounding: capabilities, effective: capabilities, permitted: capabilities },
      ...changes.process,
    },
    linux: {
      namespaces: ['pid', 'mount', 'network', 'ipc', 'uts', 'cgroup'].map((type) => ({ type })),
      maskedPaths: ['/proc/kcore'],
      ...changes.linux,
    },
  };
}

export interface Ended {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A folder with bundles of one busybox root, and the command line over a state directory of its own. */
export class Workbench {
  readonly directory: string = join(tmpdir(), `tt-oci-${randomBytes(4).toString('hex')}`);
  readonly root: string = join(this.directory, 'state');

  /** Makes its directory, with a root file system in it. */
  prepare(): void {
    const bin = join(this.directory, 'rootfs', 'bin');
    for (const name of ['bin', 'proc', 'dev', 'sys', 'tmp', 'etc'])
      mkdirSync(join(this.directory, 'rootfs', name), { recursive: true });
    copyFileSync('/bin/busybox', join(bin, 'busybox'));
    for (const name of spawnSync('/bin/busybox', ['--list'], { encoding: 'utf8' }).stdout.trim().split('\n'))
      if (name !== 'busybox') linkSync(join(bin, 'busybox'), join(bin, name));
  }

  /** Writes the bundle and answers with its path. */
  bundle(name: string, content: Config | string): string {
    const path = join(this.directory, name);
    mkdirSync(path, { recursive: true });
    const text =
      typeof content === 'string'
        ? content
        : JSON.stringify({ ...content, root: { ...(content.root as object), path: join(this.directory, 'rootfs') } });
    writeFileSync(join(path, 'config.json'), text);
    return path;
  }

  core(...args: readonly string[]): Ended {
    return this.ended(coreBinary, ['--root', this.root, ...args]);
  }

  /** Output goes into files: a container that lives on would keep pipes open. */
  private ended(program: string, args: readonly string[]): Ended {
    const paths = ['stdout', 'stderr'].map((name) => join(this.directory, name));
    const [out, err] = paths.map((path) => openSync(path, 'w'));
    const { status } = spawnSync(program, args, { stdio: ['ignore', out, err], timeout: 120_000, cwd: this.directory });
    for (const fd of [out, err]) if (fd !== undefined) closeSync(fd);
    const [stdout = '', stderr = ''] = paths.map((path) => readFileSync(path, 'utf8'));
    return { status, stdout, stderr };
  }

  /** The same in a shell, where `core` is the command. For pipes and descriptors. */
  shell(script: string): Ended {
    const all = `core() { ${coreBinary} --root ${this.root} "$@"; }\n${script}`;
    return this.ended('bash', ['-c', all]);
  }

  /** A command line with a terminal for its standard streams. */
  inTerminal(args: string): Ended {
    return this.shell(`script -qec "${coreBinary} --root ${this.root} ${args}" /dev/null </dev/null`);
  }

  /** Runs a bundle to its end. */
  run(id: string, content: Config): Ended {
    return this.core('run', '--bundle', this.bundle(id, content), id);
  }

  /** A container that runs `sleep`. */
  sleeper(id: string, changes: Config = {}): void {
    const { status, stderr } = this.core(
      'run',
      '--detach',
      '--bundle',
      this.bundle(id, config(['sleep', '1000'], changes)),
      id,
    );
    if (status !== 0) throw new Error(stderr);
  }

  state(id: string): Record<string, unknown> {
    const { stdout, stderr } = this.core('state', id);
    if (!stdout) throw new Error(stderr);
    return JSON.parse(stdout) as Record<string, unknown>;
  }

  /** Waits for a status; the kernel takes a moment to end a process. */
  await(id: string, status: string): void {
    for (let tries = 0; tries < 6_000 && this.state(id).status !== status; tries++) spawnSync('sleep', ['0.01']);
    if (this.state(id).status !== status) throw new Error(`${id} is ${this.state(id).status}`);
  }

  read(name: string): string {
    return readFileSync(join(this.directory, name), 'utf8');
  }

  /** What is still there of containers: state directories, groups, mounts. Empty after a good end. */
  left(): readonly string[] {
    const states = existsSync(this.root) ? readdirSync(this.root) : [];
    const groups = readdirSync('/sys/fs/cgroup').flatMap((name) => {
      const path = join('/sys/fs/cgroup', name);
      return spawnSync('find', [path, '-maxdepth', '2', '-name', `${this.prefix}*`], { encoding: 'utf8' })
        .stdout.split('\n')
        .filter(Boolean);
    });
    const mounts = readFileSync('/proc/self/mounts', 'utf8')
      .split('\n')
      .filter((line) => line.includes(this.directory));
    return [...states, ...groups, ...mounts];
  }

  /** Ids of this bench begin with it, so that groups can be told from those of others. */
  readonly prefix: string = `c${process.pid}-`;
  #names = 0;

  /** A name for a container that no other has. */
  readonly next = (): string => `${this.prefix}${this.#names++}`;

  /** Removes all containers; answers with what was left before. */
  clear(): readonly string[] {
    const left = this.left();
    if (existsSync(this.root)) for (const id of readdirSync(this.root)) this.core('delete', '--force', id);
    return left;
  }

  remove(): void {
    this.clear();
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** Within a file: the core is made and the bench is there before all tests, and gone after them. */
export function useWorkbench(): Workbench {
  const bench = new Workbench();
  beforeAll(() => {
    makeCore();
    bench.prepare();
  });
  afterAll(() => bench.remove());
  return bench;
}

/** `describe` where containers can be made; a skipped one, which says why, where they cannot. */
export function describeContainers(name: string, body: () => void): void {
  const why = cannotRun();
  if (why === undefined) describe(name, body);
  else describe.skip(`${name} (${why})`, body);
}
