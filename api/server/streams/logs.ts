import { pipeline } from 'node:stream/promises';
import type { LogOptions } from '@trimtab/client';
import { invalid, type StatusCause } from '@trimtab/machinery';
import { commonHeaders } from '../http/answer.js';
import type { Call, HttpParts } from '../http/parts.js';
import { isTrue } from '../http/request-info.js';
import type { Target } from '../registry/context.js';
import { getObject } from '../registry/read.js';
import { containerOf, streamTarget } from './target.js';

/** `pods/log`: the node's log as it is, text in UTF-8, for as long as the client listens. */
export async function serveLogs(parts: HttpParts, call: Call, target: Target): Promise<void> {
  const pod = await getObject(parts.registry, target);
  const options = logOptions(call.info.query, target.name, (wanted) => containerOf(pod, wanted, 'log'));
  const headers = { ...commonHeaders(call.auditId, call.warnings.texts), 'content-type': 'text/plain' };
  if (!(pod as { spec?: { nodeName?: string } }).spec?.nodeName) {
    call.exchange.respond(204, headers);
    return;
  }
  const { node, pod: ref } = streamTarget(pod, parts.nodeStreams);
  const abort = new AbortController();
  const stop = () => abort.abort();
  call.exchange.signal.addEventListener('abort', stop, { once: true });
  parts.closing.addEventListener('abort', stop, { once: true });
  try {
    const log = await node.logs(ref, options, abort.signal);
    await pipeline(log, call.exchange.open(200, headers), { signal: abort.signal });
  } catch (error) {
    if (!abort.signal.aborted) throw error;
  } finally {
    parts.closing.removeEventListener('abort', stop);
    abort.abort();
  }
}

function logOptions(query: URLSearchParams, name: string, container: (wanted: string | null) => string): LogOptions {
  const causes: StatusCause[] = [];
  const integer = (field: string, least: number) => {
    const text = query.get(field);
    if (text === null || text === '') return undefined;
    const value = Number(text);
    if (!/^-?\d+$/.test(text) || value < least)
      causes.push({
        reason: 'FieldValueInvalid',
        field,
        message: `Invalid value: ${text}: must be greater than ${least === 0 ? 'or equal to 0' : '0'}`,
      });
    return value;
  };
  const flag = (field: string) => (query.has(field) ? isTrue(query.get(field)) : undefined);
  const options: LogOptions = {
    container: container(query.get('container')),
    follow: flag('follow'),
    previous: flag('previous'),
    sinceSeconds: integer('sinceSeconds', 1),
    sinceTime: query.get('sinceTime') || undefined,
    tailLines: integer('tailLines', 0),
    limitBytes: integer('limitBytes', 1),
    timestamps: flag('timestamps'),
  };
  if (options.sinceSeconds !== undefined && options.sinceTime !== undefined)
    causes.push({
      reason: 'FieldValueForbidden',
      field: 'sinceSeconds',
      message: 'Forbidden: at most one of `sinceTime` or `sinceSeconds` may be specified',
    });
  if (causes.length > 0) throw invalid({ group: '', kind: 'PodLogOptions' }, name, causes);
  return options;
}
