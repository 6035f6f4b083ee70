import { createSocket, type Socket } from 'node:dgram';
import { createServer, type Server, type Socket as TcpSocket } from 'node:net';
import type { Clock, Logger, Random } from '@trimtab/machinery';
import * as packet from 'dns-packet';
import { Upstreams } from './forward.js';
import { type Content, decide, encodeAnswer, parseQuery, type Query, serverFailure } from './message.js';
import type { Zone } from './resolve.js';
import type { DnsView } from './view.js';

export interface DnsServerOptions {
  readonly view: DnsView;
  readonly zone: Zone;
  readonly address: string;
  /** 0 picks one, the same for UDP and TCP. */
  readonly port: number;
  /** Servers for names outside the cluster; without any, such names fail at once. */
  readonly upstreams: readonly string[];
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

const IDLE_MS = 10_000;
const MAX_CONNECTIONS = 256;
/** Queries being forwarded at one time; more fail at once. */
const MAX_FORWARDING = 1_000;
const MAX_MESSAGE = 65_535;

/** Cluster DNS over UDP and TCP. */
export class DnsServer {
  readonly #o: DnsServerOptions;
  readonly #upstreams: Upstreams;
  readonly #connections = new Set<TcpSocket>();
  #udp: Socket | undefined;
  #tcp: Server | undefined;
  #forwarding = 0;

  constructor(options: DnsServerOptions) {
    this.#o = options;
    const servers = options.upstreams.filter((server) => server !== options.address);
    this.#upstreams = new Upstreams({ servers, clock: options.clock, random: options.random });
  }

  /** Resolves with the port once both sockets answer; rejects with the reason (address and port are in the message). */
  async start(): Promise<number> {
    const { address } = this.#o;
    const tcp = createServer((socket) => this.#accept(socket));
    tcp.maxConnections = MAX_CONNECTIONS;
    await new Promise<void>((resolve, reject) => {
      tcp.once('error', reject);
      tcp.listen({ host: address, port: this.#o.port }, resolve);
    });
    this.#tcp = tcp;
    const bound = tcp.address();
    const port = typeof bound === 'object' && bound ? bound.port : this.#o.port;
    const udp = createSocket({ type: address.includes(':') ? 'udp6' : 'udp4', recvBufferSize: 1 << 20 });
    try {
      await new Promise<void>((resolve, reject) => {
        udp.once('error', reject);
        udp.bind(port, address, resolve);
      });
    } catch (error) {
      tcp.close();
      throw error;
    }
    udp.removeAllListeners('error');
    udp.on('error', (error) => this.#o.logger.warn({ error: String(error) }, 'DNS socket failed'));
    udp.on('message', (message, from) => {
      void this.#answer(message, false).then((answer) => {
        if (answer && this.#udp) udp.send(answer, from.port, from.address, () => {});
      });
    });
    this.#udp = udp;
    return port;
  }

  async stop(): Promise<void> {
    const { 0: udp, 1: tcp } = [this.#udp, this.#tcp] as const;
    this.#udp = undefined;
    this.#tcp = undefined;
    for (const connection of this.#connections) connection.destroy();
    await Promise.all([
      new Promise<void>((resolve) => (udp ? udp.close(() => resolve()) : resolve())),
      new Promise<void>((resolve) => (tcp ? tcp.close(() => resolve()) : resolve())),
    ]);
  }

  #accept(socket: TcpSocket): void {
    let received = Buffer.alloc(0);
    this.#connections.add(socket);
    socket.setTimeout(IDLE_MS, () => socket.destroy());
    socket.on('error', () => socket.destroy());
    socket.on('close', () => this.#connections.delete(socket));
    socket.on('data', (chunk) => {
      received = Buffer.concat([received, chunk]);
      while (received.length >= 2 && received.length >= 2 + received.readUInt16BE(0)) {
        const end = 2 + received.readUInt16BE(0);
        const message = received.subarray(2, end);
        received = received.subarray(end);
        void this.#answer(message, true).then((answer) => {
          if (!answer) return void socket.destroy();
          const length = Buffer.alloc(2);
          length.writeUInt16BE(answer.length);
          if (socket.writable) socket.write(Buffer.concat([length, answer]));
        });
      }
    });
  }

  /** Never rejects; undefined for what deserves no answer. */
  async #answer(message: Buffer, tcp: boolean): Promise<Buffer | undefined> {
    const query = parseQuery(message);
    if (!query) return undefined;
    if ('refusal' in query) return query.refusal;
    const limit = tcp ? MAX_MESSAGE : query.udpPayload;
    try {
      const decision = decide(this.#o.view, this.#o.zone, query);
      if (decision.kind === 'reply') return encodeAnswer(query, decision.content, limit);
      if (this.#upstreams.empty || this.#forwarding >= MAX_FORWARDING) {
        const content = decision.kind === 'forward' ? serverFailure : { answers: decision.answers };
        return encodeAnswer(query, content, limit);
      }
      this.#forwarding++;
      try {
        if (decision.kind === 'forward') return await this.#upstreams.ask(message, tcp);
        return encodeAnswer(query, await this.#follow(query, decision.answers, decision.target), limit);
      } finally {
        this.#forwarding--;
      }
    } catch (error) {
      this.#o.logger.debug({ name: query.question.name, error: String(error) }, 'DNS query failed');
      return encodeAnswer(query, serverFailure, limit);
    }
  }

  /** The target's own records after the alias: some resolvers (musl's) do not ask again. */
  async #follow(query: Query, answers: Content['answers'], target: string): Promise<Content> {
    const request = packet.encode({
      type: 'query',
      id: 0,
      flags: packet.RECURSION_DESIRED,
      questions: [{ type: query.question.type, class: 'IN', name: target }],
    });
    const outside = packet.decode(await this.#upstreams.ask(request, false));
    return { authoritative: false, answers: [...(answers ?? []), ...(outside.answers ?? [])] };
  }
}
