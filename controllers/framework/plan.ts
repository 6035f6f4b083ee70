import { type ApiCall, type Client, callKey, type Informers, interpose, isWrite } from '@trimtab/client';
import type { Clock, KubeObject, Logger, Random } from '@trimtab/machinery';
import { isReason, joinKey, keyOf, silentLogger } from '@trimtab/machinery';
import fastJsonPatch, { type Operation } from 'fast-json-patch';
import { Caches } from './caches.js';
import type { ControllerDefinition } from './controller.js';
import { decideOf } from './decide.js';
import { decided } from './decided.js';
import type { Effect } from './effects.js';
import { EventRecorder } from './events.js';
import { Executor } from './executor.js';

/** What a controller would do for one object. */
export interface Planned {
  readonly controller: string;
  readonly key: string;
  /** The state it would be in. */
  readonly state?: string;
  readonly writes: readonly PlannedWrite[];
  /** Calls to the outside, and when it would look again: said, not done. */
  readonly others: readonly string[];
  readonly error?: string;
}

export interface PlannedWrite {
  readonly verb: string;
  readonly resource: string;
  readonly key: string;
  readonly subresource?: string;
  /** From what is there to what would be there; of a creation the one operation that adds all. */
  readonly difference: readonly Operation[];
}

export interface PlanOptions {
  readonly client: Client;
  /** Synced: started by whoever made them. */
  readonly informers: Informers;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger?: Logger;
}

/**
 * What these controllers would do now, object by object, without doing it: decisions are made from the real caches, and
 * their writes are sent as dry runs, so that defaulting, admission and validation have their say. Nothing is stored, no
 * event recorded, nothing outside called. Only the next step is planned: what would follow from it is not. A controller whose
 * kinds the cluster does not have yet is said to wait for them.
 */
export async function plan(
  definitions: readonly ControllerDefinition[],
  options: PlanOptions,
): Promise<readonly Planned[]> {
  const planned: Planned[] = [];
  for (const definition of definitions) {
    const missing = await missingKinds(definition, options.client);
    if (missing.length > 0) {
      const others = [`wait for ${missing.join(' and ')}: the cluster has no such kind yet`];
      planned.push({ controller: definition.name, key: '*', writes: [], others });
      continue;
    }
    const caches = new Caches(definition, options.informers);
    await caches.whenComplete();
    const decide = decideOf(definition);
    for (const object of caches.list(definition.for))
      planned.push(await planOne(definition, caches, decide, object, options));
  }
  return planned;
}

/** Declared kinds that the cluster does not have: an operator waits for them, a plan does not. */
async function missingKinds(definition: ControllerDefinition, client: Client): Promise<readonly string[]> {
  const { for: type, owns = [], watches = [], reads = [] } = definition;
  const types = new Map(
    [type, ...owns, ...watches.map((watch) => watch.type), ...reads].map((each) => [
      `${each.resource}.${each.group}`,
      each,
    ]),
  );
  const asked = [...types].map(async ([name, each]) => {
    const there = await client.list(each, { limit: 1 }).catch((error: unknown) => {
      if (isReason(error, 'NotFound')) return undefined;
      throw error;
    });
    return there ? [] : [name];
  });
  return (await Promise.all(asked)).flat();
}

async function planOne(
  definition: ControllerDefinition,
  caches: Caches,
  decide: ReturnType<typeof decideOf>,
  object: KubeObject,
  { client, informers, clock, random, logger = silentLogger }: PlanOptions,
): Promise<Planned> {
  const { name: controller, for: type } = definition;
  const { namespace, name = '' } = object.metadata;
  const writes: PlannedWrite[] = [];
  const base = { controller, key: keyOf(object), writes };
  const dry = dryClient(client, (write) => void writes.push(write));
  const recorder = new EventRecorder({ client: dry, clock, logger, source: controller });
  const executor = new Executor({ controller, client: dry, informers, random, recorder, recording: false });
  try {
    const { effects, state } = await decided(caches, async () => {
      const view = caches.view(type, { namespace, name }, { now: clock.now(), attempt: 0, failure: undefined });
      return decide(view, await definition.observe?.(view, client));
    });
    const kept = effects.flatMap(writing);
    await executor.run(base.key, kept);
    const others = effects.flatMap(describeOther);
    return { ...base, others, ...(state === undefined ? {} : { state }) };
  } catch (error) {
    return { ...base, others: [], error: error instanceof Error ? error.message : String(error) };
  }
}

/** Only what writes; a batch is taken apart, so that all of it is shown. */
function writing(effect: Effect): readonly Effect[] {
  if (effect.type === 'batch') return effect.effects.flatMap(writing);
  return ['event', 'call', 'requeueAfter', 'done'].includes(effect.type) ? [] : [withoutAnnouncement(effect)];
}

function withoutAnnouncement(effect: Effect): Effect {
  if (!('announce' in effect)) return effect;
  const { announce: _, ...rest } = effect;
  return rest as Effect;
}

function describeOther(effect: Effect): readonly string[] {
  switch (effect.type) {
    case 'call':
      return [`call ${effect.handler} ${JSON.stringify(effect.argument) ?? ''}`.trim()];
    case 'event':
      return [`event ${effect.event.type} ${effect.event.reason}: ${effect.event.message}`];
    case 'requeueAfter':
      return [`look again in ${Math.ceil(effect.ms / 1000)} s`];
    default:
      return [];
  }
}

/** Sends writes as dry runs and tells what they would change. Requests to other kinds' subresources are only told. */
function dryClient(client: Client, planned: (write: PlannedWrite) => void): Client {
  return interpose(client, async (call, next) => {
    if (!isWrite(call) || !('type' in call)) return next(call);
    const key = callKey(call) ?? {
      namespace: 'namespace' in call.options ? call.options.namespace : undefined,
      name: '*',
    };
    const subresource =
      call.verb === 'subresource'
        ? call.subresource
        : 'subresource' in call.options
          ? call.options.subresource
          : undefined;
    const about = {
      verb: call.verb === 'patch' && call.patch.type === 'apply' ? 'apply' : call.verb,
      resource: call.type.resource,
      ...(subresource ? { subresource } : {}),
    };
    if (call.verb === 'subresource' || call.verb === 'deleteCollection') {
      planned({ ...about, key: joinKey(key), difference: [] });
      return { metadata: {} };
    }
    const before = await client.get(call.type, key).catch((error: unknown) => {
      if (isReason(error, 'NotFound')) return undefined;
      throw error;
    });
    const after = (await next({ ...call, options: { ...call.options, dryRun: true } } as ApiCall)) as KubeObject;
    const gone = call.verb === 'delete';
    const difference: readonly Operation[] =
      before && !gone
        ? fastJsonPatch.compare(withoutBookkeeping(before), withoutBookkeeping(after))
        : gone
          ? [{ op: 'remove', path: '' }]
          : [{ op: 'add', path: '', value: withoutBookkeeping(after) }];
    if (difference.length > 0)
      planned({
        ...about,
        key: joinKey(gone ? key : { namespace: key.namespace, name: after.metadata.name! }),
        difference,
      });
    return after;
  });
}

/** What every write changes is no news. */
function withoutBookkeeping(object: KubeObject): KubeObject {
  const {
    managedFields: _,
    resourceVersion: __,
    uid: ___,
    creationTimestamp: ____,
    generation: _____,
    ...metadata
  } = object.metadata;
  return { ...object, metadata };
}

/** A plan for people: one block an object, `+`, `~` and `-` before what would come, change and go. */
export function printPlan(plans: readonly Planned[]): string {
  const lines: string[] = [];
  for (const { controller, key, state, writes, others, error } of plans) {
    if (writes.length === 0 && others.length === 0 && error === undefined) continue;
    lines.push(`${controller} ${key}${state ? ` → ${state}` : ''}`);
    for (const write of writes) {
      const [first] = write.difference;
      const whole = first?.path === '';
      const mark = whole && first.op === 'add' ? '+' : whole || write.verb === 'deleteCollection' ? '-' : '~';
      lines.push(
        `  ${mark} ${write.verb} ${write.resource}${write.subresource ? `/${write.subresource}` : ''} ${write.key}`,
      );
      if (whole) continue;
      for (const operation of write.difference)
        lines.push(
          `      ${operation.op} ${operation.path}${'value' in operation ? ` ${JSON.stringify(operation.value)}` : ''}`,
        );
    }
    for (const other of others) lines.push(`  · ${other}`);
    if (error !== undefined) lines.push(`  ! ${error}`);
  }
  const total = plans.reduce((sum, { writes }) => sum + writes.length, 0);
  lines.push(
    total === 0 ? 'Nothing to write.' : `${total} write${total === 1 ? '' : 's'} planned; nothing was written.`,
  );
  return lines.join('\n');
}
