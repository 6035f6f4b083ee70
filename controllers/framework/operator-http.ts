import type http from 'node:http';
import type { Informers } from '@trimtab/client';
import type { Admission } from './admission.js';
import { type ConversionReview, type Convertible, conversionReview } from './conversion.js';
import type { Health } from './health.js';
import { machineDiagram } from './machine-diagram.js';
import type { PrometheusMetrics } from './prometheus.js';
import { type AdmissionReview, review } from './review.js';
import type { ControllerRunner } from './runner.js';
import type { ReconcileTrace, TraceLog } from './trace.js';

export interface Observed {
  readonly health: () => Health;
  readonly metrics: PrometheusMetrics;
  readonly traces: TraceLog;
  readonly informers: Informers;
  readonly runners: () => readonly ControllerRunner[];
}

/** What can be asked of a running operator. */
export function observability(of: Observed): http.RequestListener {
  return ({ url = '/' }, response) => {
    const say = (ok: boolean, text: string) => response.writeHead(ok ? 200 : 503).end(`${text}\n`);
    const json = (value: unknown) =>
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(value));
    const { ready, alive, reasons } = of.health();
    if (url === '/healthz' || url === '/livez') return void say(alive, alive ? 'ok' : reasons.join('\n'));
    if (url === '/readyz') return void say(ready, ready ? 'ok' : reasons.join('\n'));
    if (url === '/metrics')
      return void response
        .writeHead(200, { 'content-type': 'text/plain; version=0.0.4' })
        .end(of.metrics.text(of.informers, of.runners()));
    if (url === '/traces') return void json(of.traces.all());
    if (url === '/retries')
      return void json(
        Object.fromEntries(of.runners().map((runner) => [runner.definition.name, Object.fromEntries(runner.retries)])),
      );
    if (url === '/machines')
      return void json(
        Object.fromEntries(of.runners().map((runner) => [runner.definition.name, Object.fromEntries(runner.states)])),
      );
    const diagram = url.startsWith('/machines/') ? diagramAt(url.slice(10), of) : undefined;
    if (diagram !== undefined)
      return void response.writeHead(200, { 'content-type': 'text/vnd.mermaid' }).end(`${diagram}\n`);
    response
      .writeHead(404)
      .end('there are /healthz, /readyz, /metrics, /traces, /retries and /machines[/CONTROLLER[/KEY[?at=TIME]]]\n');
  };
}

/**
 * `CONTROLLER` is its machine; `CONTROLLER/NAMESPACE/NAME` the same with the state that object is in, and with `?at=TIME` the
 * one it was in then, as far as that is remembered.
 */
function diagramAt(url: string, { runners, traces }: Observed): string | undefined {
  const [path = '', query] = url.split('?');
  const [name = '', ...rest] = path.split('/').map(decodeURIComponent);
  const runner = runners().find(({ definition }) => definition.name === name);
  const machine = runner?.definition.machine;
  if (!runner || !machine) return undefined;
  if (rest.length === 0) return machineDiagram(machine);
  const key = rest.join('/');
  const at = new URLSearchParams(query).get('at');
  const state = at === null ? runner.states.get(key) : stateAt(traces.of(name, key), Date.parse(at));
  return state === undefined ? undefined : machineDiagram(machine, state.split(', '));
}

/** After the last look before that moment. */
const stateAt = (looks: readonly ReconcileTrace[], time: number): string | undefined =>
  looks.findLast(({ at, state }) => at <= time && state !== undefined)?.state;

/** The largest body a server sends: an object may have 3 MiB, an update carries two. */
const LARGEST_REVIEW = 8 << 20;

export interface Reviewed {
  readonly admissions: readonly Admission[];
  readonly conversions: readonly Convertible[];
}

/** The webhooks of an operator. */
export function reviews({ admissions, conversions }: Reviewed): http.RequestListener {
  const answers: Readonly<Record<string, (asked: unknown) => unknown>> = {
    '/mutate': (asked) => review(admissions, 'mutate', asked as AdmissionReview),
    '/validate': (asked) => review(admissions, 'validate', asked as AdmissionReview),
    '/convert': (asked) => conversionReview(conversions, asked as ConversionReview),
  };
  return (request, response) => {
    // Servers add how long they wait.
    const answer = answers[(request.url ?? '').split('?')[0]!];
    if (!answer || request.method !== 'POST') return void response.writeHead(404).end();
    const chunks: Buffer[] = [];
    let size = 0;
    request.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size > LARGEST_REVIEW) request.destroy();
      else chunks.push(chunk);
    });
    request.once('end', () => {
      try {
        const body = JSON.stringify(answer(JSON.parse(Buffer.concat(chunks).toString())));
        response.writeHead(200, { 'content-type': 'application/json' }).end(body);
      } catch (error) {
        response.writeHead(400).end(String(error));
      }
    });
  };
}

/** Resolves with the port; whoever listens is among `servers`, to be closed. */
export function listen(
  servers: http.Server[],
  server: http.Server,
  at: { readonly host?: string; readonly port: number },
): Promise<number> {
  servers.push(server);
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(at.port, at.host ?? '127.0.0.1', () => resolve((server.address() as { readonly port: number }).port));
  });
}
