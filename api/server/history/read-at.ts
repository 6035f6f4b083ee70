import type { ListOptions, WatchOptions } from '@trimtab/client';
import { badRequest } from '@trimtab/machinery';
import type { Snapshot } from '@trimtab/store';
import { listOptions } from '../http/options.js';
import type { Call, HttpParts } from '../http/parts.js';
import { waitForRevision } from '../registry/revisions.js';
import { momentOf, type PastMoment, parseInstant, snapshotAt } from './instant.js';

/**
 * The query parameter `at` on reads: as of then. It goes with GET, LIST and WATCH of every resource and is allowed exactly where
 * they are; Kubernetes knows no such parameter, and its servers ignore it.
 */

const moments = new WeakMap<Call, PastMoment>();

/** The moment a call asks for; undefined: the present. 400 for what is no moment, 410 for one that is no longer kept. */
export async function momentAsked({ registry }: HttpParts, call: Call): Promise<PastMoment | undefined> {
  const text = call.info.query.get('at');
  if (!text) return undefined;
  if (call.info.query.get('resourceVersion'))
    throw badRequest('at and resourceVersion both say which state is read; give one of them');
  const { store, clock } = registry;
  const instant = parseInstant(text, clock.now());
  if ('revision' in instant) await waitForRevision(store, clock, instant.revision);
  const moment = momentOf(store, instant);
  snapshotAt(store, moment);
  moments.set(call, moment);
  call.exchange.extraHeaders = { ...call.exchange.extraHeaders, 'trimtab-revision': String(moment.revision) };
  return moment;
}

/** The state a GET reads; undefined: the present. */
export async function snapshotAsked(parts: HttpParts, call: Call): Promise<Snapshot | undefined> {
  const moment = await momentAsked(parts, call);
  return moment && snapshotAt(parts.registry.store, moment);
}

/** A list's options with `at` as the exact revision it stands for; pages after the first know theirs already. */
export async function listOptionsAsked(parts: HttpParts, call: Call): Promise<ListOptions> {
  const options = listOptions(call.info.query);
  const moment = options.continue ? undefined : await momentAsked(parts, call);
  return moment ? { ...options, resourceVersion: String(moment.revision), resourceVersionMatch: 'Exact' } : options;
}

/** A watch's options: with `at`, of everything that has happened since. */
export async function watchOptionsAsked(parts: HttpParts, call: Call): Promise<ListOptions & WatchOptions> {
  const options = listOptions(call.info.query);
  const moment = await momentAsked(parts, call);
  return moment ? { ...options, resourceVersion: String(moment.revision) } : options;
}

/** From when ages in tables are counted. */
export const timeShown = ({ registry }: HttpParts, call: Call): number =>
  moments.get(call)?.time ?? registry.clock.now();
