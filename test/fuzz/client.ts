import { readFile } from 'node:fs/promises';
import { Agent, request as httpsRequest } from 'node:https';
import type { ApiCluster } from '../api-cluster.js';
import type { Request } from './requests.js';

export interface Answer {
  /** Undefined where the client went away first. */
  readonly status: number | undefined;
  readonly type: string;
  readonly body: Buffer;
}

/** No answer may take longer, watches aside: as much as a machine under load may need for the largest list. */
const patience = 60_000;
/** Watches and streams are left after this long. */
const enoughOfAStream = 150;

/** Sends what a request says over HTTPS as the administrator, byte for byte. Rejects when there is no answer. */
export class RawClient {
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 16 });

  private constructor(
    readonly server: string,
    readonly ca: string,
    readonly token: string,
  ) {}

  static async of(api: ApiCluster): Promise<RawClient> {
    const config = JSON.parse(await readFile(api.kubeconfig, 'utf8')) as {
      clusters: [{ cluster: { server: string; 'certificate-authority-data': string } }];
      users: [{ user: { token: string } }];
    };
    const { cluster } = config.clusters[0];
    const ca = Buffer.from(cluster['certificate-authority-data'], 'base64').toString();
    return new RawClient(cluster.server, ca, config.users[0].user.token);
  }

  send({ method, path, headers, body, abortAfter }: Request): Promise<Answer> {
    const { hostname, port } = new URL(this.server);
    return new Promise((resolve, reject) => {
      const gone = { status: undefined, type: '', body: Buffer.alloc(0) };
      let left = false;
      const leave = () => {
        left = true;
        sent.destroy();
        resolve(gone);
      };
      const sent = httpsRequest({
        hostname,
        port,
        method,
        path,
        ca: this.ca,
        agent: this.#agent,
        headers: {
          authorization: `Bearer ${this.token}`,
          ...headers,
          ...(body ? { 'content-length': body.length } : {}),
        },
      });
      const patienceEnds = setTimeout(() => reject(new Error(`no answer in ${patience} ms`)), patience);
      const leaves = abortAfter === undefined ? undefined : setTimeout(leave, abortAfter);
      const done = (answer: Answer) => {
        clearTimeout(patienceEnds);
        clearTimeout(leaves);
        resolve(answer);
      };
      sent.once('response', (answer) => {
        const chunks: Buffer[] = [];
        const status = answer.statusCode;
        const type = String(answer.headers['content-type'] ?? '');
        // What streams goes on until its client leaves.
        const stream = setTimeout(() => {
          if (!/[?&](watch|follow)=|\/watch\//.test(path)) return;
          done({ status, type, body: Buffer.alloc(0) });
          left = true;
          answer.destroy();
        }, enoughOfAStream);
        answer.on('data', (chunk: Buffer) => chunks.push(chunk));
        answer.once('end', () => {
          clearTimeout(stream);
          done({ status, type, body: Buffer.concat(chunks) });
        });
        answer.once('error', (error) => (left ? done(gone) : reject(error)));
      });
      sent.once('upgrade', (answer, socket) => {
        socket.destroy();
        done({ status: answer.statusCode, type: '', body: Buffer.alloc(0) });
      });
      sent.once('close', () => left && done(gone));
      sent.once('error', (error) => {
        clearTimeout(patienceEnds);
        if (left) done(gone);
        else reject(error);
      });
      sent.end(body);
    });
  }

  async get(path: string, accept: string): Promise<Answer> {
    return this.send({ method: 'GET', path, headers: { accept }, body: undefined, abortAfter: undefined });
  }

  close(): void {
    this.#agent.destroy();
  }
}
