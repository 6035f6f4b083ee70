import { createSocket } from 'node:dgram';
import { connect, isIP } from 'node:net';
import type { Clock, Random } from '@trimtab/machinery';

export interface UpstreamOptions {
  /** Addresses, optionally with `:port` (IPv4) or `[…]:port`. Asked in this order. */
  readonly servers: readonly string[];
  readonly clock: Clock;
  readonly random: Random;
  /** For each server. */
  readonly timeoutMs?: number;
}

const DEFAULT_TIMEOUT_MS = 2_000;
const MAX_MESSAGE = 65_535;

/** Asks servers outside the cluster. Each query goes out from a port and with an id nobody can guess. */
export class Upstreams {
  readonly #options: UpstreamOptions;

  constructor(options: UpstreamOptions) {
    this.#options = options;
  }

  get empty(): boolean {
    return this.#options.servers.length === 0;
  }

  /** The first server's answer, with the id of `query`; rejects when none answers in time. */
  async ask(query: Buffer, tcp: boolean): Promise<Buffer> {
    let failure: unknown = new Error('no upstream DNS server is configured');
    for (const server of this.#options.servers) {
      try {
        return await this.#askOne(server, query, tcp);
      } catch (error) {
        failure = error;
      }
    }
    throw failure;
  }

  async #askOne(server: string, query: Buffer, tcp: boolean): Promise<Buffer> {
    const { host, port } = parseServer(server);
    const [high = 0, low = 0] = this.#options.random.bytes(2);
    const sent = Buffer.from(query);
    sent.writeUInt8(high, 0);
    sent.writeUInt8(low, 1);
    const answer = await (tcp ? this.#overTcp(host, port, sent) : this.#overUdp(host, port, sent));
    query.copy(answer, 0, 0, 2);
    return answer;
  }

  #overUdp(host: string, port: number, query: Buffer): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      const socket = createSocket(isIP(host) === 6 ? 'udp6' : 'udp4');
      const cancel = this.#options.clock.after(this.#options.timeoutMs ?? DEFAULT_TIMEOUT_MS, () =>
        finish(new Error(`${host} did not answer`)),
      );
      let finished = false;
      const finish = (result: Error | Buffer): void => {
        if (finished) return;
        finished = true;
        cancel();
        socket.close();
        if (result instanceof Error) reject(result);
        else resolve(result);
      };
      socket.on('error', finish);
      // Connected: the kernel drops datagrams from anybody else. The callback is called on failure too, with the error.
      const connected = (error?: Error): void => (error ? finish(error) : socket.send(query));
      socket.connect(port, host, connected as () => void);
      socket.on('message', (message) => {
        if (isAnswerTo(query, message)) finish(message);
      });
    });
  }

  #overTcp(host: string, port: number, query: Buffer): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      const socket = connect({ host, port });
      let received = Buffer.alloc(0);
      const cancel = this.#options.clock.after(this.#options.timeoutMs ?? DEFAULT_TIMEOUT_MS, () =>
        socket.destroy(new Error(`${host} did not answer`)),
      );
      socket.on('error', reject);
      socket.on('close', () => {
        cancel();
        reject(new Error(`${host} closed the connection`));
      });
      socket.on('connect', () => {
        const length = Buffer.alloc(2);
        length.writeUInt16BE(query.length);
        socket.write(Buffer.concat([length, query]));
      });
      socket.on('data', (chunk) => {
        received = Buffer.concat([received, chunk]);
        if (received.length < 2 || received.length > MAX_MESSAGE + 2) return;
        const message = received.subarray(2, 2 + received.readUInt16BE(0));
        if (message.length < received.readUInt16BE(0)) return;
        if (isAnswerTo(query, message)) resolve(Buffer.from(message));
        socket.destroy();
      });
    });
  }
}

/** Same id, a response, and the same question bytes (names may come back in other case: RFC 4343). */
function isAnswerTo(query: Buffer, answer: Buffer): boolean {
  if (answer.length < 12 || !(answer.readUInt8(2) & 0x80) || answer.readUInt16BE(0) !== query.readUInt16BE(0))
    return false;
  const end = questionEnd(query);
  const lower = (b: Buffer): string => b.subarray(12, end).toString('latin1').toLowerCase();
  return answer.readUInt16BE(4) === 0 || lower(query) === lower(answer);
}

function questionEnd(message: Buffer): number {
  let at = 12;
  while (at < message.length && message.readUInt8(at) !== 0) at += 1 + message.readUInt8(at);
  return at + 5;
}

function parseServer(server: string): { readonly host: string; readonly port: number } {
  if (isIP(server)) return { host: server, port: 53 };
  const match = /^\[?([^\]]+?)\]?:(\d+)$/.exec(server);
  if (!match || !isIP(match[1]!)) throw new Error(`"${server}" is no DNS server address`);
  return { host: match[1]!, port: Number(match[2]) };
}
