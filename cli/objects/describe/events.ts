import { type Event, humanDuration, type KubeObject } from '@trimtab/machinery';
import type { Entry } from './block.js';

/** What happened to the object, newest last. */
export function eventsEntry(events: readonly Event[], now: number): Entry {
  const rows = [...events]
    .sort((a, b) => lastSeen(a) - lastSeen(b))
    .map((event) => [
      event.type ?? '',
      event.reason ?? '',
      ageText(event, now),
      sourceOf(event),
      lineOf(event.message),
    ]);
  return { label: 'Events', table: { header: ['Type', 'Reason', 'Age', 'From', 'Message'], rows } };
}

/** The query that finds the events of an object; a name may have been used before, which {@link isAbout} sorts out. */
export function eventSelector({ kind, metadata }: KubeObject): string {
  const { name, namespace } = metadata;
  const fields = { name, kind, ...(namespace ? { namespace } : {}) };
  return Object.entries(fields)
    .map(([field, text]) => `involvedObject.${field}=${text}`)
    .join(',');
}

/** Events about nodes carry the node's name as uid. */
export function isAbout({ involvedObject }: Event, { metadata }: KubeObject): boolean {
  const { uid } = involvedObject;
  return !uid || uid === metadata.uid || uid === metadata.name;
}

function ageText(event: Event, now: number): string {
  const since = (at: number): string => (at > 0 ? humanDuration(now - at) : '<unknown>');
  const count = event.series?.count ?? event.count ?? 1;
  const first = Date.parse(event.firstTimestamp ?? event.eventTime ?? '') || 0;
  return count > 1 ? `${since(lastSeen(event))} (x${count} over ${since(first)})` : since(lastSeen(event));
}

function lastSeen({ series, lastTimestamp, eventTime, metadata }: Event): number {
  const time = series?.lastObservedTime ?? lastTimestamp ?? eventTime ?? metadata.creationTimestamp;
  return Date.parse(time ?? '') || 0;
}

const sourceOf = ({ source, reportingComponent }: Event): string => source?.component || reportingComponent || '';

const lineOf = (message = ''): string => message.trim().replace(/\s*\n\s*/g, ' ');
