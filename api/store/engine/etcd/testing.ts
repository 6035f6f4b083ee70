import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Whether tests can have an etcd; where not they are skipped, and say so. */
export const etcdInstalled = spawnSync('etcd', ['--version']).status === 0;

/** `describe` where etcd is installed; a skipped one, named so, where it is not. */
export const describeWithEtcd = (name: string, body: () => void): void => {
  if (etcdInstalled) describe(name, body);
  else describe.skip(`${name} (etcd is not installed: apt-get install etcd-server)`, body);
};

/** One member on sockets in the file system: nothing listens on a network. */
export class TestEtcd {
  readonly directory = mkdtempSync(join(tmpdir(), 'trimtab-etcd-'));
  readonly endpoint = `unix:${this.directory}/localhost:1`;
  #child: ChildProcess | undefined;

  /** Resolves once it serves; `flags` are etcd's. */
  async start(...flags: readonly string[]): Promise<this> {
    const urls = ['--listen-client-urls', '--advertise-client-urls'].flatMap((flag) => [flag, 'unix://localhost:1']);
    const peers = ['--listen-peer-urls', '--initial-advertise-peer-urls'].flatMap((flag) => [
      flag,
      'unix://localhost:2',
    ]);
    const more = ['--initial-cluster', 'default=unix://localhost:2', '--logger', 'zap', '--data-dir', 'data'];
    const child = spawn('etcd', [...urls, ...peers, ...more, ...flags], {
      cwd: this.directory,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    this.#child = child;
    await new Promise<void>((resolve, reject) => {
      let log = '';
      child.stderr.on('data', (text) => {
        log = (log + String(text)).slice(-4000);
        if (/"serving client traffic/.test(log)) resolve();
      });
      child.on('close', (code) => reject(new Error(`etcd ended with ${code}: ${log}`)));
    });
    child.stderr.removeAllListeners('data').resume();
    return this;
  }

  async kill(signal: 'SIGKILL' | 'SIGTERM' | 'SIGSTOP' | 'SIGCONT' = 'SIGKILL'): Promise<void> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const closed = new Promise((resolve) => child.on('close', resolve));
    child.kill(signal);
    if (signal === 'SIGKILL' || signal === 'SIGTERM') await closed;
  }

  async remove(): Promise<void> {
    await this.kill();
    rmSync(this.directory, { recursive: true, force: true });
  }
}
