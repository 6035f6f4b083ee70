import { fork } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseYaml } from '@trimtab/machinery';
import { connect } from './wire.mjs';

/** A cluster of simulated nodes in a process of its own, spoken to over HTTPS, and asked about itself. */
export class ScaleCluster {
  #next = 0;
  #waiting = new Map();
  /** `[milliseconds since start, { rss, heapUsed, … }]`, twice a second. */
  memory = [];
  milestones = {};

  /** @param {string} directory @param {{ nodes: number, args?: readonly string[], nodeArgs?: readonly string[] }} options */
  static async start(directory, { nodes, args = [], nodeArgs = [] }) {
    const cluster = new ScaleCluster();
    const words = ['--no-node', '--simulated-nodes', String(nodes), '--data-dir', directory, '--port', '0'];
    cluster.began = performance.now();
    const script = join(dirname(fileURLToPath(import.meta.url)), 'scale-server.mjs');
    cluster.process = fork(script, [...words, '--log-level', 'warn', ...args], {
      execArgv: ['--no-warnings', ...nodeArgs],
      serialization: 'advanced',
      stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
    });
    cluster.process.on('message', ({ id, value }) => {
      cluster.#waiting.get(id)?.(value);
      cluster.#waiting.delete(id);
    });
    await cluster.#untilReady();
    const file = parseYaml(readFileSync(join(directory, 'kubeconfig'), 'utf8'));
    const bytes = (text) => Buffer.from(text, 'base64').toString();
    const { cluster: at } = file.clusters[0];
    const { user } = file.users[0];
    cluster.where = {
      url: at.server,
      ca: bytes(at['certificate-authority-data']),
      cert: bytes(user['client-certificate-data']),
      key: bytes(user['client-key-data']),
    };
    cluster.session = connect(cluster.where);
    cluster.#sampler = setInterval(async () => {
      cluster.memory.push([performance.now() - cluster.began, await cluster.ask('memory')]);
    }, 500);
    return cluster;
  }

  #sampler;

  #untilReady() {
    return new Promise((resolve, reject) => {
      let rest = '';
      this.process.stdout.on('data', (chunk) => {
        const lines = (rest + chunk).split('\n');
        rest = lines.pop();
        for (const line of lines) {
          const { event, ms } = JSON.parse(line);
          this.milestones[event] = ms;
          if (event === 'ready') resolve();
        }
      });
      this.process.once('exit', (code) => {
        clearInterval(this.#sampler);
        reject(new Error(`trimtab up ended with ${code}`));
      });
    });
  }

  get pid() {
    return this.process.pid;
  }

  ask(command, argument) {
    const id = this.#next++;
    return new Promise((resolve) => {
      this.#waiting.set(id, resolve);
      if (this.process.connected) this.process.send({ id, command, argument });
    });
  }

  stop() {
    clearInterval(this.#sampler);
    this.session.on('error', () => {});
    this.session.destroy();
    return new Promise((resolve) => {
      this.process.once('exit', resolve);
      this.process.kill('SIGKILL');
    });
  }
}
