import type { NodeHttpAnswer, NodeHttpRequest } from '@trimtab/client';
import { type Clock, StatusError, timestamp } from '@trimtab/machinery';
import type { PodManager } from '../pod/pod-manager.js';
import type { PodWorker } from '../pod/pod-worker.js';
import type { PodRuntime } from '../runtime/runtime.js';

export interface NodeHttpOptions {
  readonly pods: PodManager;
  readonly runtime: PodRuntime;
  readonly clock: Clock;
}

type Handler = (options: NodeHttpOptions) => Promise<NodeHttpAnswer> | NodeHttpAnswer;

const json = (value: object): NodeHttpAnswer => ({
  status: 200,
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify(value),
});
const text = (status: number, body: string): NodeHttpAnswer => ({
  status,
  headers: { 'content-type': 'text/plain; charset=utf-8' },
  body,
});

/** The kubelet's own paths, as far as this one has them (kubernetes: pkg/kubelet/server). */
const handlers: Readonly<Record<string, Handler>> = {
  '/healthz': () => text(200, 'ok'),
  '/healthz/ping': () => text(200, 'ok'),
  '/pods': ({ pods }) =>
    json({ kind: 'PodList', apiVersion: 'v1', metadata: {}, items: pods.workers().map(({ pod }) => pod) }),
  '/runningpods/': ({ pods }) => {
    const running = new Set(pods.runningContainers().map(({ pod }) => pod));
    return json({ kind: 'PodList', apiVersion: 'v1', metadata: {}, items: [...running] });
  },
  '/stats/summary': summary,
};

/** Answers `nodes/<name>/proxy`; 404 names the paths there are. */
export async function answerNodeHttp(options: NodeHttpOptions, request: NodeHttpRequest): Promise<NodeHttpAnswer> {
  const path = request.path.split('?')[0]!;
  const handler = Object.hasOwn(handlers, path) ? handlers[path] : undefined;
  if (!handler) return text(404, `404 page not found; this kubelet has ${Object.keys(handlers).join(', ')}\n`);
  if (!['GET', 'HEAD'].includes(request.method))
    throw new StatusError({
      code: 405,
      reason: 'MethodNotAllowed',
      message: `${request.method} is not supported on ${path}`,
    });
  return handler(options);
}

/** The stats API's Summary: processor time and memory of pods and their containers, as their cgroups count them. */
async function summary({ pods, runtime, clock }: NodeHttpOptions): Promise<NodeHttpAnswer> {
  const time = timestamp(clock.now());
  const usage = ({ cpuNanos, memoryBytes }: { readonly cpuNanos: number; readonly memoryBytes: number }) => ({
    cpu: { time, usageCoreNanoSeconds: cpuNanos },
    memory: { time, workingSetBytes: memoryBytes },
  });
  const one = async (worker: PodWorker) => {
    const { name, namespace, uid } = worker.pod.metadata;
    // A pod may end while it is being looked at.
    const stats = await runtime.stats(worker.uid).catch(() => undefined);
    if (!stats) return [];
    const containers = worker.containers().flatMap(({ name: container, context: { running } }) => {
      const of = running && (stats.containers[running.id] ?? stats.containers[container]);
      return of ? [{ name: container, ...usage(of) }] : [];
    });
    return [{ podRef: { name, namespace, uid }, ...usage(stats), containers }];
  };
  const found = (await Promise.all(pods.workers().map(one))).flat();
  return json({ node: { nodeName: pods.workers()[0]?.pod.spec?.nodeName ?? '' }, pods: found });
}
