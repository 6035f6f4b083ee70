import { conflict, type KubeObject, StatusError } from '@trimtab/machinery';
import { ConflictError, changesBetween, forkStore, type Operation, type Snapshot, type Store } from '@trimtab/store';
import type { AdmissionPlugin, Authorizer, CreateOnlyHandlers, UserInfo } from '../contracts.js';
import { LocalClient } from '../local-client.js';
import type { Registry } from '../registry/context.js';
import { FieldIndexes } from '../registry/field-index.js';
import { KindTable } from '../registry/kind-table.js';
import type { KindSource, ServedKind } from '../registry/served-kind.js';
import type { Plan, Step } from './plan.js';

/** The rules of a whole API over one store: what makes a registry of it. */
export interface Rules {
  readonly kinds: readonly KindSource[];
  readonly admission: readonly AdmissionPlugin[];
  readonly handlers: CreateOnlyHandlers;
  readonly authorizer: Authorizer;
  close(): void;
}

/** Makes the rules of this API over another store. */
export type MakeRules = (store: Store) => Rules;

/** A commit holds no more (kubernetes/etcd: max-txn-ops has its bound as well). */
const MOST = 1024;
const ATTEMPTS = 5;

/**
 * Carries a plan out as one commit, or not at all. It is tried first on a fork of the present, by the same rules and as the same
 * user, so that defaults, admission, validation and rights are those of any other write; what comes of that is committed here
 * on condition that none of its objects has changed meanwhile. `plan` is asked again when one has. Gives the revision.
 */
export async function carryOut(
  registry: Registry,
  makeRules: MakeRules,
  user: UserInfo,
  fieldManager: string,
  plan: (present: Snapshot) => Promise<Plan> | Plan,
  { dryRun }: { readonly dryRun: boolean },
): Promise<{ readonly plan: Plan; readonly revision: number }> {
  const { store, clock } = registry;
  for (let attempt = 1; ; attempt++) {
    const present = store.snapshot();
    const wanted = await plan(present);
    if (wanted.conflicts.length > 0 || wanted.steps.length === 0) return { plan: wanted, revision: present.revision };
    const fork = await forkStore(present, { clock });
    const rules = makeRules(fork);
    try {
      await tryOut({ ...registry, store: fork }, rules, user, fieldManager, wanted.steps);
      if (dryRun) return { plan: wanted, revision: present.revision };
      const operations = operationsOf(present, fork.snapshot(), wanted.steps);
      if (operations.length === 0) return { plan: wanted, revision: present.revision };
      const { revision } = await store.commit(operations);
      return { plan: wanted, revision };
    } catch (error) {
      if (!(error instanceof ConflictError)) throw error;
      if (attempt === ATTEMPTS)
        throw conflict(
          { group: '', resource: error.key.resource },
          error.key.name,
          'it changes all the time; try again',
        );
    } finally {
      rules.close();
      await fork.close();
    }
  }
}

async function tryOut(
  parts: Omit<Registry, 'kinds' | 'indexes' | 'admission' | 'handlers'>,
  rules: Rules,
  user: UserInfo,
  fieldManager: string,
  steps: readonly Step[],
): Promise<void> {
  const { store, clock, random, logger, tally } = parts;
  const kinds = new KindTable(rules.kinds);
  const { admission, handlers, authorizer } = rules;
  const registry: Registry = {
    store,
    kinds,
    admission,
    handlers,
    clock,
    random,
    logger,
    tally,
    indexes: new FieldIndexes(store),
  };
  const raw = async () => '';
  const client = new LocalClient({ registry, authorizer, user, fieldManager, raw });
  for (const step of steps)
    try {
      await make(client, step);
    } catch (error) {
      throw error instanceof StatusError ? named(error, step) : error;
    }
}

async function make(client: LocalClient, { action, kind, key, object, present }: Step): Promise<void> {
  const { name } = key;
  const at = key.namespace ? { namespace: key.namespace, name } : { name };
  if (action === 'delete') {
    const { uid } = present!.metadata;
    await client.delete(kind, at, { propagationPolicy: 'Background', ...(uid ? { preconditions: { uid } } : {}) });
    return;
  }
  const made =
    action === 'create'
      ? await client.create(kind, withoutOwners(object!))
      : await client.update(kind, { ...object!, metadata: { ...object!.metadata, resourceVersion: undefined } });
  // Objects of a kind that comes with the plan need it to be served by then.
  const { status } = object as KubeObject & { readonly status?: unknown };
  if (isDefinition(kind) && status)
    await client.update(kind, { ...made, status } as KubeObject, { subresource: 'status' });
}

const isDefinition = ({ storage }: ServedKind): boolean =>
  storage.resource === 'apiextensions.k8s.io/customresourcedefinitions';

/** Managed fields come of the write itself. */
const withoutOwners = (object: KubeObject): KubeObject => {
  const { managedFields: _, ...metadata } = object.metadata;
  return { ...object, metadata };
};

/** What the trial has changed, on condition that nobody changes it meanwhile. */
function operationsOf(before: Snapshot, after: Snapshot, steps: readonly Step[]): readonly Operation[] {
  const owners = new Map(steps.filter((step) => step.owners).map((step) => [placeOf(step.key), step]));
  const operations: Operation[] = [];
  for (const { key, before: was, after: is } of changesBetween(before, after)) {
    const expect = was?.revision ?? 0;
    if (!is) operations.push({ type: 'delete', key, expect });
    else {
      const step = owners.get(placeOf(key));
      operations.push({ type: 'put', key, object: step ? withOwners(is.object, step) : is.object, expect });
    }
  }
  if (operations.length > MOST)
    throw new StatusError({
      code: 413,
      reason: 'RequestEntityTooLarge',
      message: `${operations.length} objects would change, and no more than ${MOST} can at once; take fewer at a time`,
    });
  return operations;
}

/** A write that is taken back leaves everybody with what they owned before; whoever takes it back owns nothing by that. */
const withOwners = (object: KubeObject, { owners }: Step): KubeObject => ({
  ...object,
  metadata: { ...object.metadata, managedFields: owners },
});

const placeOf = ({ resource, namespace, name }: Step['key']): string => `${resource}\0${namespace}\0${name}`;

/** Which object of many was refused. */
function named(error: StatusError, { kind, key, action }: Step): StatusError {
  const { status } = error;
  const at = `${kind.kind} ${key.namespace ? `${key.namespace}/` : ''}${key.name}`;
  return new StatusError({
    ...status,
    code: error.code,
    reason: error.reason,
    message: `cannot ${action} ${at}: ${status.message}`,
  });
}
