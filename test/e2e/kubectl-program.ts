import { spawn } from 'node:child_process';
import { mkdirSync, realpathSync } from 'node:fs';
import { access } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type Cluster, KUBECTL_ENV, PATIENCE_MS, type Ran, type RunOptions, run } from './cluster.js';

/** The kubectl versions clients are promised for. */
export const VERSIONS = ['1.27', '1.28', '1.29', '1.30', '1.31', '1.32', '1.33'] as const;

export interface Installed {
  readonly version: string;
  /** Absent when this machine does not have it. */
  readonly program: string | undefined;
}

/** Every promised version that lies as `kubectl.<version>` beside the file `kubectl` is; without any, plain `kubectl`. */
export async function installedVersions(): Promise<readonly Installed[]> {
  const { stdout } = await run('which', ['kubectl']);
  const plain = stdout.trim() ? realpathSync(stdout.trim()) : undefined;
  const found = await Promise.all(
    VERSIONS.map(async (version): Promise<Installed> => {
      const program = join(dirname(plain ?? '/nowhere'), `kubectl.${version}`);
      const there = await access(program).then(
        () => true,
        () => false,
      );
      return { version, program: there ? program : undefined };
    }),
  );
  if (!plain || found.some(({ program }) => program)) return found;
  return [{ version: 'on the path', program: plain }, ...found];
}

/** A background kubectl and what it has said so far. */
export interface Running {
  readonly output: () => string;
  /** Ends it; resolves when it is gone. */
  readonly stop: () => Promise<void>;
  readonly done: Promise<number | null>;
}

/** One kubectl, in one namespace, with caches of its own. */
export class Kubectl {
  readonly #env: Record<string, string>;

  constructor(
    readonly cluster: Cluster,
    readonly program: string,
    readonly namespace: string,
  ) {
    const home = join(cluster.place.dataDir, `home-${namespace}`);
    mkdirSync(home, { recursive: true });
    this.#env = { ...KUBECTL_ENV, HOME: home, KUBECONFIG: cluster.ready.kubeconfig };
  }

  run(options: RunOptions, ...args: readonly string[]): Promise<Ran> {
    return this.cluster.place.run(this.program, ['-n', this.namespace, ...args], {
      timeoutMs: PATIENCE_MS,
      ...options,
      env: { ...this.#env, ...options.env },
    });
  }

  /** Must fail; both outputs. */
  async fails(...args: readonly string[]): Promise<string> {
    const { code, stdout, stderr } = await this.run({}, ...args);
    if (code === 0) throw new Error(`kubectl ${args.join(' ')} succeeded: ${stdout}`);
    return stdout + stderr;
  }

  /** The standard output of one that must succeed. */
  async ok(...args: readonly string[]): Promise<string> {
    return this.okWith({}, ...args);
  }

  async okWith(options: RunOptions, ...args: readonly string[]): Promise<string> {
    const { code, stdout, stderr } = await this.run(options, ...args);
    if (code !== 0) throw new Error(`kubectl ${args.join(' ')} ended with ${code}: ${stderr}${stdout}`);
    return stdout;
  }

  apply(manifest: object, ...args: readonly string[]): Promise<string> {
    return this.okWith({ input: JSON.stringify(manifest) }, 'apply', '-f', '-', ...args);
  }

  start(...args: readonly string[]): Running {
    const [program, words] = this.cluster.place.inside(this.program, ['-n', this.namespace, ...args]);
    const child = spawn(program, words, { env: { ...process.env, ...this.#env }, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    child.stdout.on('data', (chunk) => (output += chunk));
    child.stderr.on('data', (chunk) => (output += chunk));
    const done = new Promise<number | null>((resolve) => child.once('exit', resolve));
    return {
      output: () => output,
      done,
      stop: async () => {
        child.kill();
        await done;
      },
    };
  }
}
