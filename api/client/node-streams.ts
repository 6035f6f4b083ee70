import type { Duplex, Readable, Writable } from 'node:stream';

/**
 * What the API server asks of a node on behalf of `kubectl logs|exec|attach|port-forward`. The kubelet implements it; the
 * server is handed a lookup from node name to implementation. Failures are `StatusError`s.
 */
export interface NodeStreams {
  logs(pod: PodRef, options: LogOptions, signal: AbortSignal): Promise<Readable>;
  exec(pod: PodRef, options: ExecOptions): Promise<ProcessStreams>;
  attach(pod: PodRef, options: AttachOptions): Promise<ProcessStreams>;
  /** A byte stream to `127.0.0.1:port` inside the pod's network namespace. */
  portForward(pod: PodRef, port: number): Promise<Duplex>;
  /** Answers the node's own HTTP paths (`nodes/<name>/proxy`). Absent: the node has none. */
  http?(request: NodeHttpRequest): Promise<NodeHttpAnswer>;
  /**
   * What the node and these of its pods (by UID) use now, for the metrics API; pods and containers of which nothing is known
   * yet are left out. Absent: the node does not measure.
   */
  usage?(of: { readonly node: boolean; readonly pods: readonly string[] }): Promise<NodeUsage>;
}

export interface NodeUsage {
  readonly node?: Usage;
  readonly pods: readonly PodUsage[];
}

export interface PodUsage {
  readonly uid: string;
  readonly containers: readonly (Usage & { readonly name: string })[];
}

/** Processor time in billionths of a processor, over the `windowMs` before `at` (milliseconds since the epoch). */
export interface Usage {
  readonly at: number;
  readonly windowMs: number;
  readonly cpuNanoCores: number;
  /** The working set. */
  readonly memoryBytes: number;
}

export type NodeStreamsLookup = (nodeName: string) => NodeStreams | undefined;

export interface PodRef {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
}

export interface LogOptions {
  readonly container: string;
  readonly follow?: boolean;
  readonly previous?: boolean;
  readonly sinceSeconds?: number;
  readonly sinceTime?: string;
  readonly tailLines?: number;
  readonly limitBytes?: number;
  readonly timestamps?: boolean;
}

export interface AttachOptions {
  readonly container: string;
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
  readonly tty: boolean;
}

export interface ExecOptions extends AttachOptions {
  readonly command: readonly string[];
}

/** A running process seen from outside. With a terminal there is no separate stderr. */
export interface ProcessStreams {
  readonly stdin?: Writable;
  readonly stdout?: Readable;
  readonly stderr?: Readable;
  resize(columns: number, rows: number): void;
  /** Resolves with the exit code once the process is gone and its output has ended; for attach, when detached. */
  readonly exit: Promise<number>;
  /** Ends the session: kills an exec'd process, leaves an attached one alone. */
  close(): void;
}

/** A request for one of the node's own HTTP paths: `/healthz`, `/pods`, `/metrics`, `/stats/summary`, `/logs/`, `/configz`. */
export interface NodeHttpRequest {
  readonly method: string;
  /** With its query, as the client wrote it. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly body: Readable;
  /** Aborted when the client has gone. */
  readonly signal: AbortSignal;
}

export interface NodeHttpAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Readable;
}
