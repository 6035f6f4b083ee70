import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { PATIENCE_MS, type Place } from './cluster.js';

/** Why tests beside other image tools cannot run here; undefined when they can. */
export function whyNoImageTools(...needed: readonly string[]): string | undefined {
  const missing = needed.filter(
    (name) => !['/usr/bin', '/bin', '/usr/sbin'].some((dir) => existsSync(join(dir, name))),
  );
  return process.getuid?.() !== 0 ? 'not root' : missing.length > 0 ? `no ${missing.join(', ')}` : undefined;
}

/** A password file in which `me` has the password `secret`. */
export const ME_SECRET = 'me:$2b$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a\n';

/** A registry in the place's network namespace; with a password file when users are given. */
export class Registry {
  private constructor(readonly child: ChildProcess) {}

  static async start(
    place: Place,
    port: number,
    users?: string,
    tls?: { certificate: string; key: string },
  ): Promise<Registry> {
    const config = join(place.dataDir, `registry-${port}.yaml`);
    const passwords = join(place.dataDir, `htpasswd-${port}`);
    if (users) await writeFile(passwords, users);
    await writeFile(
      config,
      JSON.stringify({
        version: '0.1',
        log: { level: 'error', accesslog: { disabled: true } },
        storage: { filesystem: { rootdirectory: join(place.dataDir, `registry-${port}`) } },
        http: { addr: `127.0.0.1:${port}`, secret: 'x', ...(tls ? { tls } : {}) },
        ...(users ? { auth: { htpasswd: { realm: 'test', path: passwords } } } : {}),
      }),
    );
    const [program, args] = place.inside('docker-registry', ['serve', config]);
    const child = spawn(program, args, { stdio: 'ignore' });
    const end = performance.now() + PATIENCE_MS;
    for (;;) {
      const { stdout } = await place.run('curl', [
        '-s',
        '-o',
        join(place.dataDir, 'answer'),
        '-w',
        '%{http_code}',
        '-k',
        `http${tls ? 's' : ''}://127.0.0.1:${port}/v2/`,
      ]);
      if (stdout === '200' || stdout === '401') return new Registry(child);
      if (performance.now() > end) throw new Error('docker-registry does not answer');
      await delay(50);
    }
  }

  async stop(): Promise<void> {
    const ended = new Promise((done) => this.child.once('exit', done));
    this.child.kill('SIGKILL');
    await ended;
  }
}
