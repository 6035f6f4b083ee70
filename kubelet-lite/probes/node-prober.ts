import { connect, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Clock, Container, HTTPGetAction, LifecycleHandler, Probe } from '@trimtab/machinery';
import { sleep } from '@trimtab/machinery';
import { expand } from '../container/expansion.js';
import { type PodRuntime, RuntimeError } from '../runtime/runtime.js';
import { PROBE_DEFAULTS } from './count.js';
import { grpcHealth } from './grpc-health.js';
import { type HttpAnswer, type HttpTarget, httpGet, httpTarget, redirected, urlOf } from './http-get.js';
import type { ProbeOutcome, Prober, ProbeTarget } from './prober.js';

const MAX_OUTPUT = 10 * 1024;
const MAX_REDIRECTS = 10;
const REDIRECTS: readonly number[] = [301, 302, 303, 307, 308];

class TooLate extends Error {}

const failure = (output: string): ProbeOutcome => ({ result: 'failure', output });
const success = (output = ''): ProbeOutcome => ({ result: 'success', output });
const textOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** Probes and hooks of real pods. Connections to the pod are made inside its network namespace, at its own address. */
export class NodeProber implements Prober {
  readonly #runtime: PodRuntime;
  readonly #clock: Clock;

  constructor(runtime: PodRuntime, clock: Clock) {
    this.#runtime = runtime;
    this.#clock = clock;
  }

  async probe(probe: Probe, target: ProbeTarget): Promise<ProbeOutcome> {
    const timeoutMs = (probe.timeoutSeconds || PROBE_DEFAULTS.timeoutSeconds) * 1_000;
    const { exec, httpGet: http, tcpSocket: tcp, grpc } = probe;
    if (exec) return this.#exec(exec.command ?? [], target, timeoutMs);
    if (http) {
      const port = portOrProblem(http.port, target.container);
      if (typeof port === 'string') return failure(port);
      return this.#withTimeout(
        timeoutMs,
        (signal) => this.#http(http, target, signal),
        () => lateRequest(http, target, port),
      );
    }
    if (tcp) {
      const port = portOrProblem(tcp.port, target.container);
      if (typeof port === 'string') return failure(port);
      const address = join(tcp.host || target.podIP, port);
      return this.#withTimeout(
        timeoutMs,
        async (signal) => {
          (await this.#dial(target, tcp.host, port, signal)).destroy();
          return success();
        },
        () => `dial tcp ${address}: i/o timeout`,
      );
    }
    if (grpc) {
      const address = join(target.podIP, grpc.port);
      return this.#withTimeout(
        timeoutMs,
        async (signal) => {
          const stream = await this.#dial(target, undefined, grpc.port, signal);
          return grpcHealth(stream, address, grpc.service ?? '', signal);
        },
        (seconds) => `timeout: failed to connect service "${address}" within ${seconds}s: context deadline exceeded`,
      );
    }
    return { result: 'unknown', output: 'the probe has no action' };
  }

  async hook(handler: LifecycleHandler, target: ProbeTarget, budgetMs: number): Promise<ProbeOutcome> {
    const { exec, httpGet: http, sleep: pause } = handler;
    if (exec) {
      const outcome = await this.#exec(exec.command ?? [], target, budgetMs);
      return outcome.result === 'unknown' ? failure(outcome.output) : outcome;
    }
    return this.#withTimeout(
      budgetMs,
      async (signal) => {
        // A hook has only to be answered: what the answer is does not matter, in Kubernetes neither.
        if (http) await this.#request(http, target, signal);
        if (pause) await sleep(this.#clock, pause.seconds * 1_000, signal);
        return success();
      },
      (seconds) => `the hook was not done after ${seconds}s`,
    );
  }

  async #exec(command: readonly string[], target: ProbeTarget, timeoutMs: number): Promise<ProbeOutcome> {
    const literal = new Map(target.container.env?.map((e) => [e.name, e.value]));
    const expanded = command.map((text) => expand(text, (name) => literal.get(name)));
    try {
      const answer = await this.#runtime.execSync(target.containerId, {
        command: expanded,
        timeoutMs,
        maxOutput: MAX_OUTPUT,
      });
      const output = `${answer.stdout}${answer.stderr}`;
      return answer.exitCode === 0 ? success(output) : failure(output || `command exited with ${answer.exitCode}`);
    } catch (error) {
      if (error instanceof RuntimeError && /timeout|ETIMEDOUT/i.test(`${error.errno} ${error.stage}`)) {
        return failure(
          `command timed out: ${JSON.stringify(expanded.join(' '))} timed out after ${timeoutMs / 1_000}s`,
        );
      }
      // A command that is not in the image fails the probe; a runtime that did not answer says nothing about it.
      if (error instanceof RuntimeError && error.stage === 'exec') return failure(error.message);
      return { result: 'unknown', output: textOf(error) };
    }
  }

  async #http(action: HTTPGetAction, target: ProbeTarget, signal: AbortSignal): Promise<ProbeOutcome> {
    const { status, body } = await this.#request(action, target, signal);
    if (status >= 200 && status < 300) return success(body);
    if (status >= 300 && status < 400)
      return { result: 'warning', output: `Probe terminated redirects, Response body: ${body}` };
    return failure(`HTTP probe failed with statuscode: ${status}`);
  }

  /** The answer after redirects within the host, as a Go client follows them. */
  async #request(action: HTTPGetAction, target: ProbeTarget, signal: AbortSignal): Promise<HttpAnswer> {
    let to: HttpTarget = httpTarget(action, target.podIP, portOf(action.port, target.container));
    for (let redirects = 0; ; redirects++) {
      if (redirects > MAX_REDIRECTS) throw new Error(`Get "${to.path}": stopped after ${MAX_REDIRECTS} redirects`);
      const answer = await this.#get(to, action, target, signal);
      const next = answer.location && REDIRECTS.includes(answer.status) ? redirected(to, answer.location) : undefined;
      if (!next) return answer;
      to = next;
    }
  }

  async #get(to: HttpTarget, action: HTTPGetAction, target: ProbeTarget, signal: AbortSignal): Promise<HttpAnswer> {
    try {
      const stream = await this.#dial(target, action.host, to.port, signal);
      return await httpGet(stream, to, action.httpHeaders, signal);
    } catch (error) {
      throw new Error(`Get "${urlOf(to)}": ${textOf(error)}`);
    }
  }

  /** A host that a manifest names is dialled from the node, as Kubernetes does; the pod itself from within. */
  async #dial(target: ProbeTarget, host: string | undefined, port: number, signal: AbortSignal): Promise<Duplex> {
    const address = join(host || target.podIP, port);
    const dialling = host ? dialFromNode(host, port) : this.#runtime.dial(target.sandboxId, target.podIP, port);
    const stream = await dialling.catch((error: unknown) => {
      throw new Error(`dial tcp ${address}: ${dialProblem(error)}`);
    });
    stream.on('error', () => {});
    if (signal.aborted) stream.destroy();
    else signal.addEventListener('abort', () => stream.destroy(), { once: true });
    return stream;
  }

  /** `late` says what its being late is called. */
  async #withTimeout(
    timeoutMs: number,
    run: (signal: AbortSignal) => Promise<ProbeOutcome>,
    late: (seconds: number) => string,
  ): Promise<ProbeOutcome> {
    const abort = new AbortController();
    let cancel = (): void => {};
    const tooLate = new Promise<never>((_, reject) => {
      cancel = this.#clock.after(timeoutMs, () => reject(new TooLate()));
    });
    try {
      return await Promise.race([run(abort.signal), tooLate]);
    } catch (error) {
      return failure(error instanceof TooLate ? late(timeoutMs / 1_000) : textOf(error));
    } finally {
      cancel();
      abort.abort(new TooLate());
    }
  }
}

/** A Go client's words for a request that was not answered in time. */
function lateRequest(action: HTTPGetAction, target: ProbeTarget, port: number): string {
  const url = urlOf(httpTarget(action, target.podIP, port));
  return `Get "${url}": context deadline exceeded (Client.Timeout exceeded while awaiting headers)`;
}

const join = (host: string, port: number): string => (host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`);

const DIAL_PROBLEMS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connect: connection refused',
  EHOSTUNREACH: 'connect: no route to host',
  ENETUNREACH: 'connect: network is unreachable',
  ETIMEDOUT: 'connect: connection timed out',
};

function dialProblem(error: unknown): string {
  const { errno, code } = error as { readonly errno?: unknown; readonly code?: unknown };
  return DIAL_PROBLEMS[String(code)] ?? DIAL_PROBLEMS[String(errno)] ?? textOf(error);
}

function portOrProblem(port: number | string, container: Container): number | string {
  try {
    return portOf(port, container);
  } catch (error) {
    return textOf(error);
  }
}

/** A port by number or by the name the container gives it. */
export function portOf(port: number | string, container: Container): number {
  const named = typeof port === 'string' ? container.ports?.find((p) => p.name === port)?.containerPort : port;
  const number = named ?? Number(port);
  if (!Number.isInteger(number) || number < 1 || number > 65_535)
    throw new Error(`couldn't find a port named "${port}"`);
  return number;
}

function dialFromNode(host: string, port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port });
    socket.once('connect', () => resolve(socket));
    socket.once('error', reject);
  });
}
