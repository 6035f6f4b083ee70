import { Readable } from 'node:stream';
import type { NodeHttpAnswer, NodeHttpRequest } from '@trimtab/client';
import { badRequest } from '@trimtab/machinery';
import type { ExitMemory } from '../node/exits/exit-memory.js';
import { json, text } from './answers.js';
import type { GoneLogs } from './gone-logs.js';
import { logOptions } from './log-options.js';

/** What the node remembers beyond the API: how containers ended, and logs of pods that are gone. */
export interface MemoryPages {
  readonly exits: ExitMemory;
  readonly gone: GoneLogs;
}

/** `/trimtab/exits?namespace=…&pod=…[&uid=…]`: the ends of its containers, oldest first. */
export async function exitsPage({ exits }: MemoryPages, url: URL): Promise<NodeHttpAnswer> {
  const { namespace, pod, uid } = Object.fromEntries(url.searchParams);
  if (!namespace || !pod) throw badRequest('say of which pod: ?namespace=<namespace>&pod=<name>');
  return json({ items: await exits.of(namespace, pod, uid || undefined) });
}

/** `/trimtab/gone-logs`: the pods of which logs are kept; `/trimtab/gone-logs/<namespace>/<pod>/<container>`: one of them. */
export async function goneLogsPage({ gone }: MemoryPages, url: URL, request: NodeHttpRequest): Promise<NodeHttpAnswer> {
  const [namespace, pod, container] = url.pathname
    .split('/')
    .slice(3)
    .filter(Boolean)
    .map((part) => decodeURIComponent(part));
  if (namespace === undefined) return json({ items: await gone.list() });
  if (pod === undefined || container === undefined)
    throw badRequest('say which: /trimtab/gone-logs/<namespace>/<pod>/<container>');
  const { uid, attempt } = Object.fromEntries(url.searchParams);
  const of = { namespace, pod, ...(uid ? { uid } : {}), ...(attempt ? { attempt: Number(attempt) } : {}) };
  const log = await gone.open(of, logOptions(container, url.searchParams), request.signal);
  if (!log) return text(404, `no log of container ${container} of a gone pod ${namespace}/${pod} is kept\n`);
  return {
    status: 200,
    headers: { 'content-type': 'text/plain; charset=utf-8' },
    body: Readable.from(log, { objectMode: false }),
  };
}
