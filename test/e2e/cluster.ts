import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** A real `trimtab up` in a network namespace of its own, driven by real clients. Needs root. */

export const root = fileURLToPath(new URL('../..', import.meta.url));
/** The command as the checkout has it. */
export const trimtab = join(root, 'cli', 'bin', 'trimtab.mjs');
/** Many times what anything here takes on a quiet machine: how long things take is measured in bench/, never tested. */
export const PATIENCE_MS = 120_000;

/** A kubectl lives for a tenth of a second, of which it would spend a fifth looking for memory that it then does not need. */
export const KUBECTL_ENV = { GOGC: 'off' } as const;

export interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly input?: string;
  readonly timeoutMs?: number;
  readonly env?: Readonly<Record<string, string>>;
}

/** Runs a program to its end; never rejects for its exit code. */
export function run(program: string, args: readonly string[], options: RunOptions = {}): Promise<Ran> {
  return new Promise((resolve) => {
    const child = execFile(
      program,
      [...args],
      { timeout: options.timeoutMs ?? PATIENCE_MS, maxBuffer: 1 << 26, env: { ...process.env, ...options.env } },
      (error, stdout, stderr) => {
        const code = error === null ? 0 : typeof error.code === 'number' ? error.code : 124;
        resolve({ code, stdout, stderr });
      },
    );
    // A program may end without reading what it is given.
    child.stdin?.on('error', () => {});
    child.stdin?.end(options.input ?? '');
  });
}

let sequence = 0;

/** A place where clusters can live: a network namespace and a data directory, both removed by {@link Place.remove}. */
export class Place {
  readonly namespace = `tt-e2e-${process.pid}-${sequence++}`;
  dataDir = '';

  async make(): Promise<this> {
    this.dataDir = await mkdtemp(join(tmpdir(), 'trimtab-e2e-'));
    for (const args of [
      ['netns', 'add', this.namespace],
      ['-n', this.namespace, 'link', 'set', 'lo', 'up'],
    ]) {
      const { code, stderr } = await run('ip', args);
      if (code !== 0) throw new Error(`ip ${args.join(' ')}: ${stderr}`);
    }
    return this;
  }

  /** Arguments that run a program inside; the mounts stay as they are, which `ip netns exec` would change. */
  inside(program: string, args: readonly string[]): [string, string[]] {
    return ['nsenter', [`--net=/run/netns/${this.namespace}`, '--', program, ...args]];
  }

  run(program: string, args: readonly string[], options: RunOptions = {}): Promise<Ran> {
    return run(...this.inside(program, args), options);
  }

  trimtab(...args: readonly string[]): Promise<Ran> {
    return this.trimtabWith({}, ...args);
  }

  trimtabWith(options: RunOptions, ...args: readonly string[]): Promise<Ran> {
    return this.run(process.execPath, [trimtab, ...args], { timeoutMs: PATIENCE_MS, ...options });
  }

  async remove(): Promise<void> {
    await this.trimtab('down', '--data-dir', this.dataDir);
    await run('ip', ['netns', 'del', this.namespace]);
    await rm(this.dataDir, { recursive: true, force: true });
  }
}

export interface ReadyLine {
  readonly event: 'ready';
  readonly kubeconfig: string;
  readonly server: string;
}

/** A running cluster. */
export class Cluster {
  readonly lines: Record<string, unknown>[] = [];
  stderr = '';

  private constructor(
    readonly place: Place,
    readonly child: ChildProcess,
    readonly ready: ReadyLine,
  ) {}

  /** Resolves at the ready line; rejects with what was printed when the process ends before it. */
  static start(place: Place, ...args: readonly string[]): Promise<Cluster> {
    return Cluster.startAs([], place, ...args);
  }

  /** `prefix` is a program that runs the rest of its arguments in its own place, such as setpriv(1). */
  static startAs(prefix: readonly string[], place: Place, ...args: readonly string[]): Promise<Cluster> {
    const up = ['up', '--data-dir', place.dataDir, '--port', '0', '--node-name', 'node-a', '--output', 'json', ...args];
    const [first, ...others] = [...prefix, process.execPath, trimtab, ...up];
    const [program, words] = place.inside(first!, others);
    const child = spawn(program, words, { stdio: ['ignore', 'pipe', 'pipe'] });
    return new Promise((resolve, reject) => {
      let cluster: Cluster | undefined;
      let rest = '';
      let stderr = '';
      child.stderr!.on('data', (chunk) => {
        stderr += chunk;
        if (cluster) cluster.stderr += chunk;
      });
      child.stdout!.on('data', (chunk) => {
        const lines = (rest + chunk).split('\n');
        rest = lines.pop()!;
        for (const line of lines) {
          const event = JSON.parse(line) as Record<string, unknown>;
          if (event.event === 'ready') {
            cluster = new Cluster(place, child, event as unknown as ReadyLine);
            resolve(cluster);
          }
          cluster?.lines.push(event);
        }
      });
      child.on('exit', (code) => reject(new Error(`trimtab up ended with ${code}: ${stderr}`)));
    });
  }

  kubectl(...args: readonly string[]): Promise<Ran> {
    return this.kubectlWith({}, ...args);
  }

  kubectlWith(options: RunOptions, ...args: readonly string[]): Promise<Ran> {
    const env = { ...KUBECTL_ENV, HOME: this.place.dataDir, KUBECONFIG: this.ready.kubeconfig, ...options.env };
    return this.place.run('kubectl', args, { timeoutMs: PATIENCE_MS, ...options, env });
  }

  /** The standard output of a kubectl that must succeed. */
  async must(...args: readonly string[]): Promise<string> {
    return this.mustWith({}, ...args);
  }

  async mustWith(options: RunOptions, ...args: readonly string[]): Promise<string> {
    const { code, stdout, stderr } = await this.kubectlWith(options, ...args);
    if (code !== 0) throw new Error(`kubectl ${args.join(' ')} ended with ${code}: ${stderr}${stdout}`);
    return stdout;
  }

  /** Applies a manifest given as an object or text. */
  apply(manifest: object | string, ...args: readonly string[]): Promise<string> {
    const input = typeof manifest === 'string' ? manifest : JSON.stringify(manifest);
    return this.mustWith({ input }, 'apply', '-f', '-', ...args);
  }

  async json<T = Record<string, unknown>>(...args: readonly string[]): Promise<T> {
    return JSON.parse(await this.must(...args, '-o', 'json')) as T;
  }

  /** The process that `nsenter` became: trimtab itself. */
  get pid(): number {
    return this.child.pid!;
  }

  /** Ctrl-C; resolves with the exit code. */
  stop(): Promise<number | null> {
    return this.#end('SIGINT');
  }

  /** What a service manager sends; resolves with the exit code. */
  terminate(): Promise<number | null> {
    return this.#end('SIGTERM');
  }

  kill(): Promise<number | null> {
    return this.#end('SIGKILL');
  }

  #end(signal: NodeJS.Signals): Promise<number | null> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return Promise.resolve(this.child.exitCode);
    return new Promise((resolve) => {
      this.child.once('exit', (code) => resolve(code));
      this.child.kill(signal);
    });
  }
}

/** Between two looks at what is not yet as it should be: short at first, longer then, for a look may be a process. */
const LOOK_AGAIN_MS = { least: 20, most: 250, growth: 1.5 };

/** Asks again until the answer satisfies, for what the cluster promises to bring about; fails with the last answer. */
export async function eventually<T>(
  ask: () => Promise<T>,
  good: (answer: T) => boolean,
  timeoutMs = PATIENCE_MS,
): Promise<T> {
  const end = performance.now() + timeoutMs;
  for (let pause = LOOK_AGAIN_MS.least; ; pause = Math.min(pause * LOOK_AGAIN_MS.growth, LOOK_AGAIN_MS.most)) {
    const answer = await ask();
    if (good(answer)) return answer;
    if (performance.now() > end) throw new Error(`not in ${timeoutMs} ms; the last answer: ${JSON.stringify(answer)}`);
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
}

/**
 * Puts the guestbook's images into a place's data directory. They are assembled once in a run; each place has links to the files of the
 * layers, which nobody writes to, and everything else of its own.
 */
export async function guestbookImages(place: Place): Promise<void> {
  const shared = join(process.env.TRIMTAB_TEST_SHARED!, 'guestbook');
  const recipes = ['redis', 'frontend'].map((name) => join(root, 'charts', 'guestbook', 'images', `${name}.yaml`));
  const script = `set -e; [ -e "$0" ] || { "$@" > /dev/null; mv "$0.new" "$0"; }`;
  const assemble = [process.execPath, trimtab, 'image', 'assemble', '--data-dir', `${shared}.new`, ...recipes];
  const made = await place.run('flock', [`${shared}.lock`, 'sh', '-c', script, shared, ...assemble]);
  if (made.code !== 0) throw new Error(`image assemble: ${made.stderr}`);
  const copy =
    'cd "$0/images"; mkdir "$1/images"; for each in *; do cp -a$([ $each = layers ] && echo l) $each "$1/images"; done';
  const copied = await run('sh', ['-ec', copy, shared, place.dataDir]);
  if (copied.code !== 0) throw new Error(copied.stderr);
}

export const REDIS = 'trimtab.local/guestbook-redis:1';
export const FRONTEND = 'trimtab.local/guestbook-frontend:1';

/** A pod with a shell from the redis image. */
export function shellPod(name: string, script: string, extra: object = {}, container: object = {}): object {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, labels: { app: name } },
    spec: {
      terminationGracePeriodSeconds: 1,
      containers: [{ name: 'main', image: REDIS, command: ['/bin/sh', '-c', script], ...container }],
      ...extra,
    },
  };
}
