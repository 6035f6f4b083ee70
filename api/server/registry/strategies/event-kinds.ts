import { causes, equalJson, type KubeObject } from '@trimtab/machinery';
import { type Causes, immutable, qualifiedName, required } from './checks.js';
import type { KindRules } from './typed.js';

/** Events of both groups, as they were written (kubernetes: pkg/apis/core/validation/events.go). */

interface Reference {
  readonly namespace?: string;
}

interface Series {
  readonly count?: number;
  readonly lastObservedTime?: string;
}

type AnyEvent = KubeObject & {
  readonly involvedObject?: Reference;
  readonly regarding?: Reference;
  readonly eventTime?: string | null;
  readonly series?: Series;
  readonly type?: string;
  readonly action?: string;
  readonly reason?: string;
  readonly message?: string;
  readonly note?: string;
  readonly reportingInstance?: string;
  readonly reportingComponent?: string;
  readonly reportingController?: string;
  readonly deprecatedSource?: { readonly component?: string; readonly host?: string };
  readonly deprecatedFirstTimestamp?: string | null;
  readonly deprecatedLastTimestamp?: string | null;
  readonly deprecatedCount?: number;
};

/** Those written through `events.k8s.io` have to be whole; those of the core group may be as they always were. */
const isStrict = (event: AnyEvent): boolean => event.apiVersion === 'events.k8s.io/v1';
const longest = 128;
const longestNote = 1024;

function validateSeries(series: Series | undefined, out: Causes): void {
  if (!series) return;
  if ((series.count ?? 0) < 2) out.push(causes.invalid('series.count', '', 'should be at least 2'));
  required(series.lastObservedTime, 'series.lastObservedTime', out);
}

function bounded(value: string | undefined, at: string, limit: number, out: Causes): void {
  if ((value?.length ?? 0) > limit) out.push(causes.invalid(at, '', `can have at most ${limit} characters`));
}

/** Where an event stands and where what it is about stands. */
function validatePlace(event: AnyEvent, out: Causes): void {
  const about = (event.involvedObject ?? event.regarding)?.namespace ?? '';
  const fits = about === '' ? ['default', 'kube-system'] : [about];
  if (!event.eventTime && about === '') fits.push('');
  if (!fits.includes(event.metadata.namespace ?? ''))
    out.push(causes.invalid('involvedObject.namespace', about, 'does not match event.namespace'));
}

/** What the newer events say: who reports, what was done, in bounds. */
function validateReport(event: AnyEvent, out: Causes): void {
  const strict = isStrict(event);
  const reporter = strict ? event.reportingController : event.reportingComponent;
  const field = strict ? 'reportingController' : 'reportingComponent';
  required(reporter, field, out);
  qualifiedName(reporter, field, out);
  for (const name of ['reportingInstance', 'action', 'reason'] as const) {
    required(event[name], name, out);
    bounded(event[name], name, longest, out);
  }
  bounded(event.message ?? event.note, 'message', longestNote, out);
}

const unset = (is: boolean, at: string, out: Causes): void => {
  if (!is) out.push(causes.invalid(at, '', 'needs to be unset'));
};

export const event: KindRules<AnyEvent> = {
  validate(object, out) {
    validatePlace(object, out);
    if (object.eventTime) validateReport(object, out);
    if (!isStrict(object)) return;
    validateSeries(object.series, out);
    required(object.eventTime ?? '', 'eventTime', out);
    if (object.type !== 'Normal' && object.type !== 'Warning')
      out.push(causes.invalid('type', '', `has invalid value: ${object.type ?? ''}`));
    unset(!object.deprecatedFirstTimestamp, 'firstTimestamp', out);
    unset(!object.deprecatedLastTimestamp, 'lastTimestamp', out);
    unset(!object.deprecatedCount, 'count', out);
    unset(!object.deprecatedSource?.component && !object.deprecatedSource?.host, 'source', out);
  },
  validateChange(now, old, out) {
    if (!isStrict(now)) return;
    for (const [field, shown] of fixed) immutable(now[field], old[field], equalJson, shown, out);
  },
};

/** What an event of `events.k8s.io` has said once: only its series grows. In the core's words, as upstream names fields. */
const fixed = [
  ['regarding', 'involvedObject'],
  ['reason', 'reason'],
  ['note', 'message'],
  ['type', 'type'],
  ['eventTime', 'eventTime'],
  ['action', 'action'],
  ['reportingController', 'reportingController'],
  ['reportingInstance', 'reportingInstance'],
] as const satisfies readonly (readonly [keyof AnyEvent, string])[];
