import type { Pod, Service, ServicePort } from '@trimtab/machinery';
import { isReady } from './pod-ready.js';
import { countOf } from './why-pods.js';

/** What is asked of the pods around a service. */
export interface AroundService {
  /** Those it selects, or that use it. */
  readonly pods: readonly Pod[];
  /** All of the namespace. */
  readonly neighbours: readonly Pod[];
}

/** Who stands behind a service, and why nobody does. Pure. */
export function serviceLines(title: string, service: Service, { pods, neighbours }: AroundService): readonly string[] {
  const { spec = {} } = service;
  if (spec.type === 'ExternalName') return [`${title} is another name of ${spec.externalName}.`];
  const selector = Object.entries(spec.selector ?? {});
  if (selector.length === 0) return [`${title} selects no pods: its endpoints are written by whoever made it.`];
  const wanted = selector.map(([label, value]) => `${label}=${value}`).join(',');
  if (pods.length === 0)
    return [`${title} sends to nobody: no pod here carries ${wanted}.`, ...nearest(selector, neighbours)];
  const ready = pods.filter(isReady);
  const to = ready.length === 0 ? 'nobody' : countOf(ready.length, 'pod');
  return [
    `${title} sends to ${to}: ${countOf(pods.length, 'pod')} with ${wanted}, ${ready.length} ready.`,
    ...(spec.ports ?? []).flatMap((port) => portLines(port, pods)),
  ];
}

/** Pods that would be behind the service, were it not for one label. */
function nearest(selector: readonly (readonly [string, string])[], pods: readonly Pod[]): readonly string[] {
  const counts = new Map<string, number>();
  for (const { metadata } of pods) {
    const off = selector.filter(([label, value]) => metadata.labels?.[label] !== value);
    if (off.length !== 1 || (selector.length === 1 && metadata.labels?.[off[0]![0]] === undefined)) continue;
    const [label, value] = off[0]!;
    const has = metadata.labels?.[label];
    const text = `${has === undefined ? `do not carry ${label}` : `carry ${label}=${has}`} instead of ${label}=${value}`;
    counts.set(text, (counts.get(text) ?? 0) + 1);
  }
  return [...counts].map(([text, count]) => `  ${countOf(count, 'pod')} would be: they ${text}.`);
}

function portLines({ name, port, targetPort }: ServicePort, pods: readonly Pod[]): readonly string[] {
  if (typeof targetPort !== 'string') return [];
  const without = pods.filter(
    ({ spec }) => !spec?.containers.some(({ ports = [] }) => ports.some((of) => of.name === targetPort)),
  );
  if (without.length === 0) return [];
  const whose = without.length === pods.length ? 'no container has a port' : `${without.length} have no port`;
  return [`  Port ${name ?? port} leads to the port named ${targetPort}, and ${whose} of that name.`];
}
