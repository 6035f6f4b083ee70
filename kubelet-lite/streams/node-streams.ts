import * as fs from 'node:fs/promises';
import { type Duplex, Readable } from 'node:stream';
import type {
  AttachOptions,
  ExecOptions,
  LogOptions,
  NodeHttpAnswer,
  NodeHttpRequest,
  NodeStreams,
  NodeUsage,
  PodRef,
  ProcessStreams,
} from '@trimtab/client';
import type { Clock } from '@trimtab/machinery';
import { badRequest, internalError, notFound, Pods, StatusError } from '@trimtab/machinery';
import type { ContainerWorker } from '../container/container-worker.js';
import type { PodManager } from '../pod/pod-manager.js';
import type { PodWorker } from '../pod/pod-worker.js';
import type { PodRuntime } from '../runtime/runtime.js';
import { text } from './answers.js';
import { readLog } from './log-reader.js';
import { answerNodeHttp, type NodeHttpOptions } from './node-http.js';

export interface PodStreamsOptions {
  readonly pods: PodManager;
  readonly runtime: PodRuntime;
  readonly clock: Clock;
  readonly logPath: (pod: PodWorker, container: string, attempt: number) => string;
  /** The node's own HTTP paths, and what it measures; absent: it has none. */
  readonly pages?: Pick<NodeHttpOptions, 'stats' | 'figures' | 'configuration' | 'logDir' | 'exits' | 'gone'>;
}

/** Logs, exec, attach and port-forward of this node's pods. */
export class PodStreams implements NodeStreams {
  readonly #options: PodStreamsOptions;

  constructor(options: PodStreamsOptions) {
    this.#options = options;
  }

  async logs(ref: PodRef, options: LogOptions, signal: AbortSignal): Promise<Readable> {
    const pod = this.#pod(ref);
    const container = this.#container(pod, options.container);
    const { attempt, state } = container.context;
    const wanted = options.previous ? attempt - 1 : attempt;
    if (options.previous && wanted < 0) {
      throw badRequest(`previous terminated container "${container.name}" in pod "${ref.name}" not found`);
    }
    if (attempt < 0) {
      const { reason = 'ContainerCreating', message } = state.waiting ?? {};
      const creating = ['ContainerCreating', 'PodInitializing'].includes(reason);
      const why = creating || !message ? reason : `${reason}: ${message}`;
      throw badRequest(`container "${container.name}" in pod "${ref.name}" is waiting to start: ${why}`);
    }
    const path = this.#options.logPath(pod, container.name, wanted);
    const ended = wanted === attempt ? container.whenEnded(attempt) : Promise.resolve();
    const lines = readLog({ path, ended, now: this.#options.clock.now(), signal }, options);
    await fs.access(path).catch(() => {
      throw badRequest(`the log of container "${container.name}" in pod "${ref.name}" is not there`);
    });
    return Readable.from(lines, { objectMode: false });
  }

  async exec(ref: PodRef, options: ExecOptions): Promise<ProcessStreams> {
    return this.#translated(this.#options.runtime.exec(this.#running(ref, options.container), options));
  }

  async attach(ref: PodRef, options: AttachOptions): Promise<ProcessStreams> {
    return this.#translated(this.#options.runtime.attach(this.#running(ref, options.container)));
  }

  async portForward(ref: PodRef, port: number): Promise<Duplex> {
    const pod = this.#pod(ref);
    const { runtime } = this.#options;
    try {
      return await runtime.dial(pod.uid, '127.0.0.1', port);
    } catch (error) {
      try {
        return await runtime.dial(pod.uid, '::1', port);
      } catch {
        throw internalError(`failed to connect to localhost:${port} inside pod "${ref.name}": ${String(error)}`);
      }
    }
  }

  http(request: NodeHttpRequest): Promise<NodeHttpAnswer> {
    const { pages } = this.#options;
    if (!pages) return Promise.resolve(text(404, '404 page not found\n'));
    return answerNodeHttp({ ...this.#options, ...pages, streams: this }, request);
  }

  usage(of: { readonly node: boolean; readonly pods: readonly string[] }): Promise<NodeUsage> {
    return this.#options.pages?.stats.usage(of) ?? Promise.resolve({ pods: [] });
  }

  async #translated(work: Promise<ProcessStreams>): Promise<ProcessStreams> {
    try {
      return await work;
    } catch (error) {
      throw error instanceof StatusError
        ? error
        : internalError(error instanceof Error ? error.message : String(error));
    }
  }

  #pod(ref: PodRef): PodWorker {
    const pod = this.#options.pods.worker(ref.uid);
    if (!pod) throw notFound(Pods, ref.name);
    return pod;
  }

  #container(pod: PodWorker, name: string): ContainerWorker {
    const container = pod.container(name);
    if (!container) throw badRequest(`container ${name} is not valid for pod ${pod.pod.metadata.name}`);
    return container;
  }

  #running(ref: PodRef, name: string): string {
    const id = this.#container(this.#pod(ref), name).containerId;
    if (id === undefined) throw internalError(`unable to upgrade connection: container not found ("${name}")`);
    return id;
  }
}
