import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { CoreClient } from './core-client.js';

const CORE = resolve('kubelet-lite/isolation/build/trimtab-core');

/** Answers each TCP connection and UDP datagram with `<name> <address it came from>`. */
const SERVER = `
const [name, port] = process.argv.slice(1);
require('net').createServer((s) => { s.on('error', () => {}); s.end(name + ' ' + s.remoteAddress); }).listen(+port, '0.0.0.0', () => {
  const u = require('dgram').createSocket('udp4');
  u.on('message', (m, r) => u.send(name + ' ' + r.address, r.port, r.address));
  u.bind(+port, () => console.log('ready'));
});`;

/** One JSON request a line (`{host, port, udp, from, within}`), one answer a line: what the server said, or the error's code. */
const CLIENT = `
const net = require('net'), dgram = require('dgram');
const tcp = ({ host, port, within }) => new Promise((done) => {
  const s = net.connect({ host, port }); let said = '';
  s.setTimeout(within, () => { s.destroy(); done('timeout'); });
  s.on('data', (d) => { said += d; }); s.on('end', () => done(said)); s.on('error', (e) => done(e.code));
});
const sockets = new Map();
const udp = ({ host, port, from, within }) => new Promise((done) => {
  const u = sockets.get(from) ?? dgram.createSocket('udp4'); if (from) sockets.set(from, u);
  const end = (said) => { clearTimeout(t); u.removeAllListeners('message'); if (!from) u.close(); done(said); };
  const t = setTimeout(() => end('timeout'), within);
  u.on('message', (m) => end(String(m)));
  const go = () => u.send('?', port, host);
  if (u._bound) go(); else { u._bound = true; u.bind(from ?? 0, go); }
});
require('readline').createInterface({ input: process.stdin }).on('line', async (line) => {
  const request = JSON.parse(line);
  console.log(request.id + ' ' + await (request.udp ? udp : tcp)(request));
});`;

/** Whether this machine can run tests in the kernel: root, iproute2 and the built core. */
export const canRunKernelTests = (): boolean => process.getuid?.() === 0 && existsSync(CORE) && existsSync('/run');

/** A machine of its own: a network namespace in which only `lo` is up, and a native core in it. Dispose of it. */
export class TestNode {
  static #count = 0;
  readonly name: string;
  readonly directory = mkdtempSync(join(tmpdir(), 'trimtab-net-'));
  readonly #namespaces: string[] = [];
  readonly #processes: ChildProcess[] = [];
  readonly #clients = new Map<string, Connector>();
  #core: CoreClient | undefined;

  private constructor() {
    this.name = `tt-net-${process.pid}-${TestNode.#count++}`;
  }

  static async start(): Promise<TestNode> {
    const node = new TestNode();
    try {
      node.#addNamespace(node.name);
      node.exec(node.name, 'ip', 'link', 'set', 'lo', 'up');
      const socket = join(node.directory, 'core.sock');
      const core = node.#spawn(node.name, [CORE, 'node', '--socket', socket, '--run-dir', node.directory]);
      await new Promise<void>((done, failed) => {
        let over = false;
        core.once('exit', (code) => {
          over = true;
          failed(new Error(`the native core exited with ${code}`));
        });
        const poll = (): void => {
          if (over) return;
          if (!existsSync(socket)) return void setTimeout(poll, 5);
          CoreClient.connect(socket).then(
            (client) => {
              node.#core = client;
              done();
            },
            () => setTimeout(poll, 5),
          );
        };
        poll();
      });
      return node;
    } catch (error) {
      node.dispose();
      throw error;
    }
  }

  get kernel(): CoreClient {
    if (!this.#core) throw new Error('the node is not started');
    return this.#core;
  }

  /** A pod's empty network namespace: its name for the calls below, and the path that opens it. */
  addPod(suffix: string): { readonly pod: string; readonly netns: string } {
    const pod = `${this.name}-${suffix}`;
    this.#addNamespace(pod);
    return { pod, netns: `/run/netns/${pod}` };
  }

  removePod(pod: string): void {
    execFileSync('ip', ['netns', 'del', pod]);
    this.#namespaces.splice(this.#namespaces.indexOf(pod), 1);
  }

  exec(namespace: string, ...command: readonly string[]): string {
    return execFileSync('ip', ['netns', 'exec', namespace, ...command], { encoding: 'utf8', stdio: 'pipe' });
  }

  /** A TCP and UDP server that tells its name and whom it sees. */
  async serve(namespace: string, name: string, port: number): Promise<void> {
    const server = this.#spawn(namespace, [process.execPath, '-e', SERVER, name, String(port)]);
    await new Promise<void>((done, failed) => {
      server.stdout?.once('data', () => done());
      server.once('exit', () => failed(new Error(`server ${name} did not start`)));
    });
  }

  /**
   * What a server said to a client in the namespace, or the error's code, or `timeout` after `within` milliseconds (60,000).
   * `from` is the client's own port, kept bound between calls.
   */
  ask(
    namespace: string,
    host: string,
    port: number,
    options: { udp?: boolean; from?: number; within?: number } = {},
  ): Promise<string> {
    let client = this.#clients.get(namespace);
    if (!client) {
      client = new Connector(this.#spawn(namespace, [process.execPath, '-e', CLIENT]));
      this.#clients.set(namespace, client);
    }
    return client.ask({ host, port, within: 60_000, ...options });
  }

  dispose(): void {
    this.#core?.close();
    for (const child of this.#processes) child.kill('SIGKILL');
    for (const namespace of [...this.#namespaces].reverse()) {
      try {
        execFileSync('ip', ['netns', 'del', namespace], { stdio: 'pipe' });
      } catch {
        // A test may have removed it; the others must still go.
      }
    }
    rmSync(this.directory, { recursive: true, force: true });
  }

  #addNamespace(name: string): void {
    execFileSync('ip', ['netns', 'add', name]);
    this.#namespaces.push(name);
  }

  #spawn(namespace: string, command: readonly string[]): ChildProcess {
    // Not `ip netns exec`: it mounts a new /sys, without the control groups the core looks for.
    const enter = [`--net=/run/netns/${namespace}`, ...command];
    const child = spawn('nsenter', enter, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#processes.push(child);
    return child;
  }
}

class Connector {
  readonly #child: ChildProcess;
  readonly #waiting = new Map<string, (said: string) => void>();
  #id = 0;

  constructor(child: ChildProcess) {
    this.#child = child;
    createInterface({ input: child.stdout! }).on('line', (line) => {
      const space = line.indexOf(' ');
      this.#waiting.get(line.slice(0, space))?.(line.slice(space + 1));
    });
  }

  ask(request: object): Promise<string> {
    const id = String(++this.#id);
    this.#child.stdin!.write(`${JSON.stringify({ id, ...request })}\n`);
    return new Promise((done) => this.#waiting.set(id, done));
  }
}
