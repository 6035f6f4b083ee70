import { connect, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Clock, Container, HTTPGetAction, LifecycleHandler, Probe } from '@trimtab/machinery';
import { sleep } from '@trimtab/machinery';
import { expand } from '../container/expansion.js';
import { type PodRuntime, RuntimeError } from '../runtime/runtime.js';
import { PROBE_DEFAULTS } from './count.js';
import { grpcHealth } from './grpc-health.js';
import { httpGet } from './http-get.js';
import type { ProbeOutcome, Prober, ProbeTarget } from './prober.js';

const MAX_OUTPUT = 10 * 1024;

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
    const timeoutMs = (probe.timeoutSeconds ?? PROBE_DEFAULTS.timeoutSeconds) * 1_000;
    if (probe.exec) return this.#exec(probe.exec.command ?? [], target, timeoutMs);
    return this.#withTimeout(timeoutMs, async (signal) => {
      if (probe.httpGet) return this.#http(probe.httpGet, target, signal);
      if (probe.tcpSocket) {
        const { port, host } = probe.tcpSocket;
        (await this.#dial(target, host, portOf(port, target.container), signal)).destroy();
        return success();
      }
      if (probe.grpc) {
        const stream = await this.#dial(target, undefined, probe.grpc.port, signal);
        return grpcHealth(stream, `${target.podIP}:${probe.grpc.port}`, probe.grpc.service ?? '', signal);
      }
      return { result: 'unknown', output: 'the probe has no action' };
    });
  }

  async hook(handler: LifecycleHandler, target: ProbeTarget, budgetMs: number): Promise<ProbeOutcome> {
    if (handler.exec) {
      const outcome = await this.#exec(handler.exec.command ?? [], target, budgetMs);
      return outcome.result === 'unknown' ? failure(outcome.output) : outcome;
    }
    return this.#withTimeout(budgetMs, async (signal) => {
      if (handler.httpGet) return this.#http(handler.httpGet, target, signal);
      if (handler.sleep) await sleep(this.#clock, handler.sleep.seconds * 1_000, signal);
      return success();
    });
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
    const port = portOf(action.port, target.container);
    const stream = await this.#dial(target, action.host, port, signal);
    return httpGet(stream, action, action.host || target.podIP, port, signal);
  }

  /** A host that a manifest names is dialled from the node, as Kubernetes does; the pod itself from within. */
  async #dial(target: ProbeTarget, host: string | undefined, port: number, signal: AbortSignal): Promise<Duplex> {
    const stream = host
      ? await dialFromNode(host, port)
      : await this.#runtime.dial(target.sandboxId, target.podIP, port);
    stream.on('error', () => {});
    if (signal.aborted) stream.destroy();
    else signal.addEventListener('abort', () => stream.destroy(), { once: true });
    return stream;
  }

  async #withTimeout(timeoutMs: number, run: (signal: AbortSignal) => Promise<ProbeOutcome>): Promise<ProbeOutcome> {
    const abort = new AbortController();
    let cancel = (): void => {};
    const late = new Promise<never>((_, reject) => {
      cancel = this.#clock.after(timeoutMs, () => reject(new TooLate()));
    });
    try {
      return await Promise.race([run(abort.signal), late]);
    } catch (error) {
      if (error instanceof TooLate) return failure(`timed out after ${timeoutMs / 1_000}s`);
      return failure(textOf(error));
    } finally {
      cancel();
      abort.abort(new TooLate());
    }
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
