/**
 * How long an image takes from a registry on this machine, or from an archive, until containers can stand on it: fetched, its
 * digests checked, its layers unpacked. Beside podman and skopeo doing the same into storage of their own.
 *
 *   node bench/images.mjs [--rounds 3] [--json FILE]
 */
import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { sleep } from './lib/cluster.mjs';
import { Report } from './lib/report.mjs';
import { onStage, trimtab } from './lib/stage.mjs';
import { median } from './lib/stats.mjs';

const { values: options } = parseArgs({
  options: { rounds: { type: 'string', default: '3' }, json: { type: 'string' } },
});
const ROUNDS = Number(options.rounds);
const NAME = '127.0.0.1:5000/bench:1';

const report = new Report('images', 'From registry or archive to unpacked layers');

function run(program, args, env = {}) {
  const began = performance.now();
  const { status, stderr, error } = spawnSync(program, args, { encoding: 'utf8', env: { ...process.env, ...env } });
  if (status !== 0) throw new Error(`${program} ${args.join(' ')}: ${error?.message ?? stderr}`);
  return performance.now() - began;
}

/** In a mount namespace of its own: container storage leaves mounts below which nothing could be removed. */
const peer = (program, args) => run('unshare', ['--mount', '--propagation', 'private', program, ...args]);

const present = (program) => spawnSync(program, ['--version']).status === 0;

/** Programs and many small files of this machine, in two layers. */
function makeImage(directory) {
  const context = join(directory, 'context');
  mkdirSync(context);
  const parts = {
    programs: ['usr/sbin'],
    files: ['usr/share/perl', 'usr/share/zoneinfo'],
  };
  let dockerfile = 'FROM scratch\n';
  for (const [name, paths] of Object.entries(parts)) {
    run('tar', ['-C', '/', '--ignore-failed-read', '-czf', join(context, `${name}.tar.gz`), ...paths]);
    dockerfile += `ADD ${name}.tar.gz /\n`;
  }
  writeFileSync(join(context, 'Dockerfile'), dockerfile);
  const data = ['--data-dir', join(directory, 'made')];
  run(process.execPath, [trimtab, 'build', '--quiet', '-t', NAME, ...data, context]);
  run(process.execPath, [trimtab, 'image', 'push', '--quiet', ...data, NAME]);
  const archive = join(directory, 'image.tar');
  run(process.execPath, [trimtab, 'image', 'save', ...data, '-o', archive, NAME]);
  const tar = spawnSync('sh', ['-c', `cat ${join(context, '*.tar.gz')} | gunzip | tar -it --ignore-zeros | wc -l`], {
    encoding: 'utf8',
  });
  report.note(
    `Image: ${(statSync(archive).size / 1e6).toFixed(0)} MB compressed, ${tar.stdout.trim()} entries, two layers`,
  );
  return archive;
}

async function registry(directory) {
  const config = join(directory, 'registry.yaml');
  writeFileSync(
    config,
    JSON.stringify({
      version: '0.1',
      log: { level: 'error', accesslog: { disabled: true } },
      storage: { filesystem: { rootdirectory: join(directory, 'registry') } },
      http: { addr: '127.0.0.1:5000', secret: 'x' },
    }),
  );
  const child = spawn('docker-registry', ['serve', config], { stdio: 'ignore' });
  for (let tries = 0; spawnSync('curl', ['-sf', 'http://127.0.0.1:5000/v2/']).status !== 0; tries++) {
    if (tries > 100) throw new Error('docker-registry does not answer');
    await sleep(50);
  }
  return child;
}

/** One contestant: its commands, each into empty storage. */
function contestants(directory, archive) {
  const storage = (name) => [
    '--root',
    join(directory, name),
    '--runroot',
    join(directory, `${name}-run`),
    '--storage-driver',
    'overlay',
  ];
  const data = join(directory, 'ours');
  const all = {
    trimtab: {
      dirs: [data],
      pull: () => run(process.execPath, [trimtab, 'image', 'pull', '--quiet', '--data-dir', data, NAME]),
      load: () => run(process.execPath, [trimtab, 'image', 'load', '--data-dir', data, archive]),
    },
    podman: {
      dirs: [join(directory, 'podman'), join(directory, 'podman-run')],
      pull: () => peer('podman', [...storage('podman'), 'pull', '-q', '--tls-verify=false', NAME]),
      load: () => peer('podman', [...storage('podman'), 'load', '-q', '-i', archive]),
    },
    skopeo: {
      dirs: [join(directory, 'skopeo'), join(directory, 'skopeo-run')],
      pull: () => skopeo(['--src-tls-verify=false', `docker://${NAME}`]),
      load: () => skopeo([`docker-archive:${archive}`]),
    },
  };
  const skopeo = (from) =>
    peer('skopeo', [
      'copy',
      '-q',
      ...from,
      `containers-storage:[overlay@${join(directory, 'skopeo')}+${join(directory, 'skopeo-run')}]${NAME}`,
    ]);
  for (const name of ['podman', 'skopeo'])
    if (!present(name)) {
      report.note(`Not compared with ${name}: it is not installed (apt-get install --no-install-recommends ${name})`);
      delete all[name];
    }
  return all;
}

async function compare({ directory }) {
  const archive = makeImage(directory);
  const all = contestants(directory, archive);
  const samples = {};
  for (let round = -1; round < ROUNDS; round++)
    for (const what of ['pull', 'load'])
      for (const [name, contestant] of Object.entries(all)) {
        const ms = contestant[what]();
        for (const dir of contestant.dirs) rmSync(dir, { recursive: true, force: true });
        // The first round is for caches.
        if (round < 0) continue;
        const key = `${what}: ${name}`;
        samples[key] = [...(samples[key] ?? []), ms];
      }
  for (const what of ['pull', 'load']) {
    report.section(
      what === 'pull' ? 'pull from docker-registry into empty storage' : 'load the archive into empty storage',
      Object.keys(all).map((name) => ({ what: name, unit: 'ms', values: samples[`${what}: ${name}`] })),
    );
    for (const name of Object.keys(all).slice(1)) {
      const ratios = samples[`${what}: trimtab`].map((ms, at) => ms / samples[`${what}: ${name}`][at]);
      report.note(`${what}: trimtab takes ${median(ratios).toFixed(2)} of ${name}'s time (median of ratios)`);
    }
  }
  report.note('Everyone runs as a command, its start included; everyone takes a turn in every round.');
  report.finish(options.json);
}

await onStage(fileURLToPath(import.meta.url), 300, async (room) => {
  if (!present('docker-registry')) throw new Error('docker-registry is not installed: apt-get install docker-registry');
  const server = await registry(room.directory);
  try {
    await compare(room);
  } finally {
    server.kill('SIGKILL');
  }
});
