import type { KubeObject, ResourceType } from '@trimtab/machinery';
import fastJsonPatch from 'fast-json-patch';
import type { AnyStateMachine, AnyStateNode } from 'xstate';
import { changeTo } from './change.js';
import { type Condition, withCondition } from './conditions.js';
import type { ControllerDefinition } from './controller.js';
import { type Effect, event, type PatchEffect } from './effects.js';
import type { Place } from './machine.js';
import { isDeleting } from './owners.js';

type Statused = KubeObject & { readonly status?: { readonly conditions?: readonly Condition[] } };

/** States tagged so are announced as warnings. */
const TROUBLE = new Set(['Stalled', 'Failed', 'Degraded', 'Backoff']);

/** Every tag of a machine: the condition types it speaks of. */
export function tagsOf(machine: AnyStateMachine): readonly string[] {
  const tags = new Set<string>();
  const walk = (node: AnyStateNode) => {
    for (const tag of node.tags) tags.add(tag);
    for (const child of Object.values(node.states)) walk(child);
  };
  walk(machine.root);
  return [...tags].sort();
}

/**
 * A machine's state, said where users look: each tag of the machine is a condition, True in the states that carry it, with the
 * state's name as its reason; coming into a state is an event, a warning where a tag means trouble, with the state's
 * `description` as its message. In the same write as the status the decision changes itself, if it does.
 */
export function published(
  definition: ControllerDefinition,
  tags: readonly string[],
  object: KubeObject | undefined,
  place: Place,
  effects: readonly Effect[],
  now: number,
): readonly Effect[] {
  if (tags.length === 0 || !object || isDeleting(object)) return effects;
  const own = effects.find((effect) => isStatusPatch(effect, definition, object)) as PatchEffect | undefined;
  const base = object as Statused;
  const wanted = (own ? patchedBy(base, own) : base) as Statused;
  const reason = reasonOf(place.value);
  const { generation } = object.metadata;
  let conditions: readonly Condition[] = wanted.status?.conditions ?? [];
  for (const type of tags) {
    const status = carries(place, type) ? 'True' : 'False';
    const observed = generation === undefined ? {} : { observedGeneration: generation };
    conditions = withCondition(conditions, { type, status, reason, message: messageOf(place), ...observed }, now);
  }
  if (conditions === wanted.status?.conditions) return effects;
  const next: Statused = { ...wanted, status: { ...wanted.status, conditions } };
  const patch = changeTo(definition.for as ResourceType<Statused>, base, next, { subresource: 'status' });
  const before = base.status?.conditions?.find((condition) => tags.includes(condition.type))?.reason;
  const trouble = tags.some((tag) => TROUBLE.has(tag) && carries(place, tag));
  const told =
    before === reason
      ? []
      : [event(object, trouble ? 'Warning' : 'Normal', reason, messageOf(place) || `Now ${reason}`)];
  const replaced = own ? effects.flatMap((effect): readonly Effect[] => (effect === own ? patch : [effect])) : effects;
  return [...replaced, ...(own ? [] : patch), ...told];
}

const carries = ({ nodes }: Place, tag: string): boolean => nodes.some(({ tags }) => tags.includes(tag));

const isStatusPatch = (effect: Effect, { for: type }: ControllerDefinition, { metadata }: KubeObject): boolean =>
  effect.type === 'patch' &&
  effect.subresource === 'status' &&
  effect.resource.resource === type.resource &&
  effect.resource.group === type.group &&
  effect.uid === metadata.uid &&
  effect.resourceVersion === metadata.resourceVersion;

const patchedBy = (object: Statused, { operations }: PatchEffect): Statused =>
  fastJsonPatch.applyPatch(structuredClone(object), structuredClone([...operations])).newDocument;

/** `waiting` is Waiting; of nested states the innermost counts, of parallel ones all. */
function reasonOf(value: unknown): string {
  if (typeof value === 'string') return value.charAt(0).toUpperCase() + value.slice(1);
  return Object.values(value as object)
    .map(reasonOf)
    .join('');
}

/** What the innermost active state says of itself. */
function messageOf({ nodes }: Place): string {
  return nodes.filter((node) => node.description).at(-1)?.description ?? '';
}
