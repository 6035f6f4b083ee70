import { createReadStream } from 'node:fs';
import * as fs from 'node:fs/promises';
import { join, normalize } from 'node:path';
import type { NodeHttpAnswer, NodeHttpRequest, NodeStreams } from '@trimtab/client';
import { badRequest, notFound, Pods } from '@trimtab/machinery';
import type { PodManager } from '../pod/pod-manager.js';
import type { PodWorker } from '../pod/pod-worker.js';
import type { PodRuntime } from '../runtime/runtime.js';
import { text } from './answers.js';
import { logOptions } from './log-options.js';

export interface StreamPages {
  readonly pods: PodManager;
  readonly runtime: PodRuntime;
  readonly streams: NodeStreams;
  /** What `/logs/` shows: the node's log directory. */
  readonly logDir: string;
}

const RUN_TIMEOUT_MS = 60_000;
const RUN_OUTPUT = 1 << 20;

/** `/containerLogs/<namespace>/<pod>/<container>`, with the parameters of `pods/log`. */
export async function containerLog(
  { pods, streams }: StreamPages,
  url: URL,
  request: NodeHttpRequest,
): Promise<NodeHttpAnswer> {
  const { worker, container } = named(pods, url.pathname, 'containerLogs');
  const { name = '', namespace = '' } = worker.pod.metadata;
  const log = await streams.logs(
    { namespace, name, uid: worker.uid },
    logOptions(container, url.searchParams),
    request.signal,
  );
  return { status: 200, headers: { 'content-type': 'text/plain; charset=utf-8' }, body: log };
}

/** `/run/<namespace>/<pod>[/<uid>]/<container>?cmd=<command>`: its output, once it has ended. */
export async function runCommand({ pods, runtime }: StreamPages, url: URL): Promise<NodeHttpAnswer> {
  const { worker, container } = named(pods, url.pathname, 'run');
  const id = worker.container(container)?.containerId;
  if (id === undefined) throw badRequest(`container ${container} of pod ${worker.pod.metadata.name} does not run`);
  const command = (url.searchParams.get('cmd') ?? '').split(' ').filter(Boolean);
  if (command.length === 0) throw badRequest('say what to run: ?cmd=<command>');
  const { exitCode, stdout, stderr } = await runtime.execSync(id, {
    command,
    timeoutMs: RUN_TIMEOUT_MS,
    maxOutput: RUN_OUTPUT,
  });
  return text(
    exitCode === 0 ? 200 : 500,
    `${stdout}${stderr}${exitCode === 0 ? '' : `command terminated with exit code ${exitCode}\n`}`,
  );
}

/** `/logs/…`: the node's log directory, to look through. Nothing outside it is shown, whatever the path or a link says. */
export async function nodeLogs({ logDir }: StreamPages, path: string): Promise<NodeHttpAnswer> {
  const inside = normalize(decodeURIComponent(path.slice('/logs'.length)));
  const missing = () => text(404, '404 page not found\n');
  const root = await fs.realpath(logDir).catch(() => undefined);
  const at = root && (await fs.realpath(join(root, inside)).catch(() => undefined));
  if (!root || !at || (at !== root && !at.startsWith(`${root}/`))) return missing();
  const stat = await fs.stat(at);
  if (stat.isFile())
    return {
      status: 200,
      headers: { 'content-type': 'text/plain; charset=utf-8', 'content-length': String(stat.size) },
      body: createReadStream(at, { end: Math.max(stat.size - 1, 0) }),
    };
  if (!stat.isDirectory()) return missing();
  const entries = await fs.readdir(at, { withFileTypes: true });
  const lines = entries.map((entry) => `${entry.name}${entry.isDirectory() ? '/' : ''}`).sort();
  const links = lines.map((name) => `<a href="${encodeURI(name)}">${name.replaceAll('<', '&lt;')}</a>\n`);
  return {
    status: 200,
    headers: { 'content-type': 'text/html; charset=utf-8' },
    body: `<pre>\n${links.join('')}</pre>\n`,
  };
}

/** The pod and container of `/<what>/<namespace>/<pod>[/<uid>]/<container>`. */
function named(pods: PodManager, path: string, what: string): { worker: PodWorker; container: string } {
  const parts = path.split('/').slice(2).map(decodeURIComponent);
  const [namespace, name, third, fourth] = parts;
  const container = fourth ?? third;
  if (!namespace || !name || !container || parts.length > 4)
    throw badRequest(`say which: /${what}/<namespace>/<pod>/<container>`);
  const worker = pods
    .workers()
    .find(
      ({ pod: { metadata }, uid }) =>
        metadata.namespace === namespace && metadata.name === name && (fourth === undefined || uid === third),
    );
  if (!worker) throw notFound(Pods, name);
  return { worker, container };
}
