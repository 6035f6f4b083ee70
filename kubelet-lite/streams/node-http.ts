import type { NodeHttpAnswer, NodeHttpRequest } from '@trimtab/client';
import { StatusError } from '@trimtab/machinery';
import type { NodeStats } from '../stats/node-stats.js';
import { json, text } from './answers.js';
import { containerLog, nodeLogs, runCommand, type StreamPages } from './container-pages.js';
import { exitsPage, goneLogsPage, type MemoryPages } from './memory-pages.js';
import { cadvisorPage, kubeletPage, type NodeFigures, probesPage, resourcePage, summaryPage } from './metrics-pages.js';

export interface NodeHttpOptions extends StreamPages, MemoryPages {
  readonly stats: NodeStats;
  readonly figures: NodeFigures;
  /** What `/configz` shows: the kubelet's settings in KubeletConfiguration's words. */
  readonly configuration: () => object;
}

interface Page {
  readonly path: RegExp;
  readonly methods: readonly string[];
  answer(options: NodeHttpOptions, url: URL, request: NodeHttpRequest): Promise<NodeHttpAnswer> | NodeHttpAnswer;
}

const read = ['GET', 'HEAD'];

const page = (path: RegExp, answer: Page['answer'], methods: readonly string[] = read): Page => ({
  path,
  methods,
  answer,
});

const podList = (items: readonly object[]): NodeHttpAnswer =>
  json({ kind: 'PodList', apiVersion: 'v1', metadata: {}, items });

/** The kubelet's own paths (kubernetes: pkg/kubelet/server). */
const pages: readonly Page[] = [
  page(/^\/healthz(\/(ping|log|syncloop))?$/, () => text(200, 'ok')),
  page(/^\/pods\/?$/, ({ pods }) => podList(pods.workers().map(({ pod }) => pod))),
  page(/^\/runningpods\/?$/, ({ pods }) => podList([...new Set(pods.runningContainers().map(({ pod }) => pod))])),
  page(/^\/configz$/, ({ configuration }) => json({ kubeletconfig: configuration() })),
  page(/^\/stats\/summary$/, ({ stats }, url) =>
    summaryPage(stats, url.searchParams.get('only_cpu_and_memory') === 'true'),
  ),
  page(/^\/metrics$/, ({ figures, pods }) => kubeletPage(figures, pods)),
  page(/^\/metrics\/cadvisor$/, ({ stats }) => cadvisorPage(stats)),
  page(/^\/metrics\/resource$/, ({ stats }) => resourcePage(stats)),
  page(/^\/metrics\/probes$/, ({ figures }) => probesPage(figures)),
  page(/^\/containerLogs\//, containerLog),
  page(/^\/logs\//, (options, url) => nodeLogs(options, url.pathname)),
  page(/^\/run\//, runCommand, ['POST']),
  page(/^\/trimtab\/exits$/, exitsPage),
  page(/^\/trimtab\/gone-logs(\/|$)/, goneLogsPage),
];

const names =
  '/healthz, /pods, /runningpods/, /configz, /stats/summary, /metrics, /metrics/cadvisor, /metrics/resource, /metrics/probes, /containerLogs/<namespace>/<pod>/<container>, /logs/, /run/<namespace>/<pod>/<container>?cmd=<command>, /trimtab/exits and /trimtab/gone-logs';

/** Answers `nodes/<name>/proxy`; 404 names the paths there are. */
export async function answerNodeHttp(options: NodeHttpOptions, request: NodeHttpRequest): Promise<NodeHttpAnswer> {
  const url = new URL(request.path, 'http://node');
  const found = pages.find(({ path }) => path.test(url.pathname));
  if (!found) return text(404, `404 page not found; this kubelet has ${names}\n`);
  if (!found.methods.includes(request.method))
    throw new StatusError({
      code: 405,
      reason: 'MethodNotAllowed',
      message: `${request.method} is not supported on ${url.pathname}`,
    });
  return found.answer(options, url, request);
}
