import { spawn, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { HttpClient, loadKubeconfig } from '@trimtab/client';
import { nativeRuntime } from '@trimtab/kubelet-lite';
import { silentLogger, systemClock } from '@trimtab/machinery';
import { root, trimtab } from './stage.mjs';

export const REDIS = 'trimtab.local/guestbook-redis:1';
export const coreBinary = join(root, 'kubelet-lite', 'isolation', 'build', 'trimtab-core');

/** A `trimtab up` of the checkout, started in the network namespace this process is in. */
export class Cluster {
  /** When the process was asked for, on the clock of `performance.now`. */
  asked = performance.now();
  /** Each line of `up --output json`, with `seen` in milliseconds since asked. */
  lines = [];
  stderr = '';
  #waiting = new Map();
  #stopping = false;

  /**
   * @param {string} dataDir
   * @param {{ port?: number, args?: readonly string[], nodeArgs?: readonly string[] }} [options]
   */
  constructor(dataDir, { port = 0, args = [], nodeArgs = [] } = {}) {
    this.dataDir = dataDir;
    const words = [...nodeArgs, trimtab, 'up', '--data-dir', dataDir, '--port', String(port), '--node-name', 'node-a'];
    this.child = spawn(process.execPath, [...words, '--output', 'json', ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.child.stderr.on('data', (chunk) => {
      this.stderr += chunk;
    });
    let rest = '';
    this.child.stdout.on('data', (chunk) => {
      const lines = (rest + chunk).split('\n');
      rest = lines.pop();
      for (const line of lines) this.#told(JSON.parse(line));
    });
    this.ended = new Promise((resolve) => {
      this.child.on('exit', (code, signal) => {
        if (!this.#stopping)
          process.stderr.write(`trimtab up ended with ${code ?? signal}:\n${this.stderr.slice(-4000)}\n`);
        for (const { reject } of this.#waiting.values())
          reject(new Error(`trimtab up ended with ${code}: ${this.stderr.slice(-2000)}`));
        resolve(code);
      });
    });
  }

  get pid() {
    return this.child.pid;
  }

  /** Milliseconds since the process was asked for. */
  age() {
    return performance.now() - this.asked;
  }

  #told(line) {
    const told = { ...line, seen: this.age() };
    this.lines.push(told);
    this.#waiting.get(line.event)?.resolve(told);
  }

  /** Resolves with the line that tells of this event. @param {string} event */
  told(event) {
    const known = this.lines.find((line) => line.event === event);
    if (known) return Promise.resolve(known);
    return new Promise((resolve, reject) => this.#waiting.set(event, { resolve, reject }));
  }

  /** The real HTTPS server, as the administrator. The kubeconfig is there once `api` is told. */
  async client() {
    return new HttpClient({ connection: await loadKubeconfig(join(this.dataDir, 'kubeconfig')) });
  }

  /** A second client of the native core, to learn of processes. */
  runtime() {
    return nativeRuntime({ coreBinary, runDir: join(this.dataDir, 'run'), logger: silentLogger, clock: systemClock });
  }

  /** Ctrl-C; resolves with the exit code. */
  stop() {
    this.#stopping = true;
    this.child.kill('SIGINT');
    return this.ended;
  }
}

/** Puts an image of the guestbook into a data directory, as `npm start` does. */
export function assembleRedis(dataDir) {
  const recipe = join(root, 'charts', 'guestbook', 'images', 'redis.yaml');
  const { status, stderr } = spawnSync(
    process.execPath,
    [trimtab, 'image', 'assemble', '--data-dir', dataDir, recipe],
    { encoding: 'utf8' },
  );
  if (status !== 0) throw new Error(`image assemble: ${stderr}`);
}

/** Waits the least that Node can. @param {number} ms */
export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
