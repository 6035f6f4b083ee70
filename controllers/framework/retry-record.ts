import { equalJson, type KubeObject, type ResourceType, timestamp } from '@trimtab/machinery';
import { changeStatus } from './change.js';
import { type Condition, conditionOf, withCondition } from './conditions.js';
import type { PatchEffect } from './effects.js';

/** What is tried again, when, and why: as it stands on the object, where it outlives the process that tries. */
export interface Retrying {
  readonly controller: string;
  /** In a row. */
  readonly failures: number;
  /** Milliseconds since the epoch; undefined: not before something changes. */
  readonly until: number | undefined;
  /** What went wrong last. */
  readonly why: string;
}

/** The condition's type, unless a controller says otherwise. */
export const RETRYING = 'Retrying';
export const RETRY_REASON = 'ReconciliationFailed';

const LONGEST_WHY = 1_000;

type Conditioned = KubeObject & { readonly status?: { readonly conditions?: readonly Condition[] } };

/** Whether a kind says that its status has conditions: those made by `customKind` with `s.conditions()`. */
export function declaresConditions(type: ResourceType): boolean {
  const { definition } = type as { readonly definition?: Definition };
  return definition?.spec.versions.some(keepsConditions) ?? false;
}

interface Definition {
  readonly spec: { readonly versions: readonly Version[] };
}
interface Version {
  readonly storage: boolean;
  readonly schema?: { readonly openAPIV3Schema?: { readonly properties?: Readonly<Record<string, Fields>> } };
}
interface Fields {
  readonly properties?: Readonly<Record<string, unknown>>;
}

const keepsConditions = ({ storage, schema }: Version): boolean =>
  storage && schema?.openAPIV3Schema?.properties?.status?.properties?.conditions !== undefined;

/** To the object's status; nothing where it says so already. */
export function recorded(
  type: ResourceType,
  object: KubeObject,
  condition: string,
  { controller, failures, until, why }: Retrying,
  now: number,
): readonly PatchEffect[] {
  const times = `${failures} time${failures === 1 ? '' : 's'}`;
  const next = until === undefined ? 'rests until something changes' : `is tried again at ${timestamp(until)}`;
  const { generation } = object.metadata;
  return withConditions(type, object, (present) =>
    withCondition(
      present,
      {
        type: condition,
        status: 'True',
        reason: RETRY_REASON,
        message: `${controller} has failed ${times} and ${next}: ${why.slice(0, LONGEST_WHY)}`,
        ...(generation === undefined ? {} : { observedGeneration: generation }),
      },
      now,
    ),
  );
}

/** Off the object's status again, and whatever of it was there only for that. */
export const forgotten = (type: ResourceType, object: KubeObject, condition: string): readonly PatchEffect[] =>
  withConditions(type, object, (present) => present.filter(({ type: each }) => each !== condition));

function withConditions(
  type: ResourceType,
  object: KubeObject,
  change: (present: readonly Condition[]) => readonly Condition[],
): readonly PatchEffect[] {
  const { conditions: present = [] } = (object as Conditioned).status ?? {};
  const next = change(present);
  if (next === present) return [];
  return changeStatus<Conditioned>(type as ResourceType<Conditioned>, object as Conditioned, (draft) => {
    const { conditions: _, ...rest } = draft.status ?? {};
    if (next.length > 0) draft.status = { ...rest, conditions: [...next] };
    else if (Object.keys(rest).length > 0) draft.status = rest;
    else delete draft.status;
  });
}

const TOLD = /^(\S+) has failed (\d+) times? and (?:is tried again at (\S+)|rests until something changes): (.*)$/s;

/** What an object says of its being tried again: by each controller that keeps a record of it. */
export function retriesOf(object: KubeObject): readonly (Retrying & { readonly condition: string })[] {
  const { conditions = [] } = (object as Conditioned).status ?? {};
  return conditions.flatMap(({ type, status, reason, message = '' }) => {
    if (status !== 'True' || reason !== RETRY_REASON) return [];
    const [, controller, failures, until, why] = TOLD.exec(message) ?? [];
    if (controller === undefined) return [];
    const at = until === undefined ? undefined : Date.parse(until);
    return [{ condition: type, controller, failures: Number(failures), until: at, why: why ?? '' }];
  });
}

/** The record was made of what the object still asks for. */
export function isOfThisGeneration(object: KubeObject, condition: string): boolean {
  const { observedGeneration } = conditionOf((object as Conditioned).status?.conditions, condition) ?? {};
  return observedGeneration === object.metadata.generation && object.metadata.deletionTimestamp === undefined;
}

/** Between the two nothing differs but the record. */
export function onlyRecordDiffers(previous: KubeObject, object: KubeObject, condition: string): boolean {
  const record = (of: KubeObject) => conditionOf((of as Conditioned).status?.conditions, condition);
  return (
    !equalJson(record(previous), record(object)) && equalJson(beside(previous, condition), beside(object, condition))
  );
}

function beside(object: KubeObject, condition: string): unknown {
  const { resourceVersion: _, managedFields: __, ...metadata } = object.metadata;
  const { conditions = [], ...status } = (object as Conditioned).status ?? {};
  const others = conditions.filter(({ type }) => type !== condition);
  return { ...object, metadata, status: { ...status, conditions: others } };
}
