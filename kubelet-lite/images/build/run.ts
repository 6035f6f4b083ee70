import { type ChildProcess, spawn } from 'node:child_process';
import * as fs from 'node:fs/promises';
import { join } from 'node:path';
import { DEFAULT_CAPABILITIES, MASKED_PATHS, READONLY_PATHS, seccompOf } from '../../container/security.js';
import type { ResolvedUser } from '../../container/user.js';

/** One command in a container of the native core, on top of layers. */
export interface RunRequest {
  readonly args: readonly string[];
  readonly env: readonly string[];
  readonly cwd: string;
  readonly user: ResolvedUser;
  /** Topmost first; at least one. */
  readonly layers: readonly string[];
  readonly network: 'host' | 'none';
  /** Files shown inside, by their path there; not part of the image. */
  readonly files: Readonly<Record<string, string>>;
}

export interface RunOptions {
  readonly coreBinary: string;
  /** An empty directory; what the command changes is left in its `upper`. */
  readonly directory: string;
  /** Unique among what runs on this machine. */
  readonly id: string;
  readonly output: (chunk: Uint8Array) => void;
  readonly signal?: AbortSignal | undefined;
}

/** Resolves with the exit code. The container, its mounts and its group are gone then, also when this process dies before. */
export async function runCommand(request: RunRequest, options: RunOptions): Promise<number> {
  const bundle = join(options.directory, 'bundle');
  const root = join(options.directory, 'root');
  await fs.mkdir(bundle);
  await fs.mkdir(root);
  await fs.writeFile(join(bundle, 'config.json'), JSON.stringify(specOf(request, root, options.id)));
  const words = ['layer', 'run', root, bundle, options.id, join(options.directory, 'state'), ...request.layers];
  const child = spawn(options.coreBinary, words, { stdio: ['ignore', 'pipe', 'pipe'] });
  child.stdout.on('data', options.output);
  child.stderr.on('data', options.output);
  const stop = (): boolean => child.kill('SIGTERM');
  options.signal?.addEventListener('abort', stop, { once: true });
  try {
    return await exitOf(child);
  } finally {
    options.signal?.removeEventListener('abort', stop);
  }
}

function exitOf(child: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => resolve(signal === null ? (code ?? 0) : 128 + (signal === 'SIGKILL' ? 9 : 15)));
  });
}

function specOf({ args, env, cwd, user, network, files }: RunRequest, root: string, id: string): object {
  const none = user.uid === 0 ? DEFAULT_CAPABILITIES : [];
  return {
    ociVersion: '1.2.0',
    process: {
      terminal: false,
      user: { uid: user.uid, gid: user.gid, additionalGids: user.additionalGids },
      args,
      env,
      cwd,
      capabilities: {
        bounding: DEFAULT_CAPABILITIES,
        permitted: none,
        effective: none,
        inheritable: [],
        ambient: [],
      },
    },
    root: { path: root },
    hostname: 'buildkitsandbox',
    mounts: [
      { destination: '/proc', type: 'proc', source: 'proc', options: ['nosuid', 'noexec', 'nodev'] },
      { destination: '/dev', type: 'tmpfs', source: 'tmpfs', options: ['nosuid', 'mode=755', 'size=65536k'] },
      {
        destination: '/dev/pts',
        type: 'devpts',
        source: 'devpts',
        options: ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620', 'gid=5'],
      },
      {
        destination: '/dev/shm',
        type: 'tmpfs',
        source: 'shm',
        options: ['nosuid', 'noexec', 'nodev', 'mode=1777', 'size=65536k'],
      },
      { destination: '/dev/mqueue', type: 'mqueue', source: 'mqueue', options: ['nosuid', 'noexec', 'nodev'] },
      { destination: '/sys', type: 'sysfs', source: 'sysfs', options: ['nosuid', 'noexec', 'nodev', 'ro'] },
      ...Object.entries(files).map(([destination, source]) => ({
        destination,
        type: 'bind',
        source,
        options: ['bind', 'ro', 'nosuid', 'nodev'],
      })),
    ],
    linux: {
      namespaces: ['mount', 'pid', 'ipc', 'uts', ...(network === 'none' ? ['network'] : [])].map((type) => ({ type })),
      cgroupsPath: `/trimtab-build/${id}`,
      seccomp: seccompOf({ containers: [] }, { name: 'build' }),
      maskedPaths: MASKED_PATHS,
      readonlyPaths: READONLY_PATHS,
    },
  };
}

/** Where mounts stand in the container: what is made for them is no part of the image. Deepest first. */
export const MOUNT_POINTS: readonly string[] = ['proc', 'dev', 'sys', 'etc/resolv.conf', 'etc/hosts', 'etc'];
