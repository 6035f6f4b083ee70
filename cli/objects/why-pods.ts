import type { ContainerStatus, Pod } from '@trimtab/machinery';
import { isReady } from './pod-ready.js';
import { oneLine } from './why-exits.js';
import { stateText } from './why-status.js';

/** Kinds of trouble that are shown of one object; what most pods have comes first. */
const SHOWN = 4;
const NAMED = 3;

/** What keeps a pod from doing its work, in a line that is the same for pods of the same trouble; undefined: nothing. Pure. */
export function troubleOf(pod: Pod): string | undefined {
  const { metadata, spec, status } = pod;
  if (metadata.deletionTimestamp) return 'is being deleted';
  if (status?.phase === 'Succeeded') return undefined;
  if (!spec?.nodeName) {
    const placed = status?.conditions?.find(({ type }) => type === 'PodScheduled');
    return `waits for a node${placed?.message ? `: ${oneLine(placed.message)}` : ''}`;
  }
  const containers = [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])];
  const hurt = containers.find((container) => hurtOf(container) !== undefined);
  if (hurt) return hurtOf(hurt);
  if (status?.reason) return `${status.reason}${status.message ? `: ${oneLine(status.message)}` : ''}`;
  if (status?.phase === 'Failed') return 'has failed';
  if (isReady(pod)) return undefined;
  const starting = containers.find(({ state }) => !state?.running && state?.terminated?.exitCode !== 0);
  if (!status?.containerStatuses || starting) return 'is being started';
  const unready = status.containerStatuses.find(({ ready }) => !ready);
  if (unready) return `container ${unready.name} runs and is not ready`;
  const gate = status.conditions?.find(({ type, status: is }) => type === 'Ready' && is !== 'True');
  return gate?.message ? oneLine(gate.message) : 'is not ready';
}

/** The name of the pod, and how long it waits, are left out: they are different for each. */
function hurtOf({ name, state, lastState }: ContainerStatus): string | undefined {
  const { waiting, terminated } = state ?? {};
  if (waiting && !['ContainerCreating', 'PodInitializing'].includes(waiting.reason ?? '')) {
    const { reason = '', message = '' } = waiting;
    if (reason !== 'CrashLoopBackOff')
      return `container ${name} waits: ${reason}${message ? ` (${oneLine(message)})` : ''}`;
    return `container ${name} keeps ending: it ${withoutTime(stateText(lastState))}`;
  }
  if (terminated && (terminated.exitCode !== 0 || terminated.reason === 'OOMKilled'))
    return `container ${name} ${withoutTime(stateText(state))}`;
  return undefined;
}

const withoutTime = (text: string): string => text.replace(/ at \d{4}-\d\d-\d\dT[\d:.]+Z/, '');

/** Pods that are not well, together with those of the same trouble; the trouble most have comes first. Pure. */
export function troubled(pods: readonly Pod[]): readonly (readonly [trouble: string, pods: readonly Pod[]])[] {
  const groups = new Map<string, Pod[]>();
  for (const pod of pods) {
    const trouble = troubleOf(pod);
    if (trouble === undefined) continue;
    const group = groups.get(trouble);
    if (group) group.push(pod);
    else groups.set(trouble, [pod]);
  }
  return [...groups].sort(([, a], [, b]) => b.length - a.length);
}

/** One line a trouble, naming some of those who have it. Pure. */
export function troubleLines(pods: readonly Pod[]): readonly string[] {
  const groups = troubled(pods);
  const rest = groups.slice(SHOWN).reduce((sum, [, group]) => sum + group.length, 0);
  return [
    ...groups.slice(0, SHOWN).map(([trouble, group]) => {
      const names = group.slice(0, NAMED).map(({ metadata }) => metadata.name);
      const more = group.length > NAMED ? ` and ${group.length - NAMED} more` : '';
      return `  ${names.join(', ')}${more}: ${trouble}`;
    }),
    ...(rest > 0 ? [`  and ${countOf(rest, 'pod')} with other troubles`] : []),
  ];
}

export const countOf = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? '' : 's'}`;
