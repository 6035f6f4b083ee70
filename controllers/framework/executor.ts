import type { Client, Informers } from '@trimtab/client';
import { recordingClient } from '@trimtab/client';
import type { KubeObject, ObjectKey, Random, ResourceType } from '@trimtab/machinery';
import { apiVersionOf, conflict, equalJson, isNamespaceTerminating, isReason, joinKey } from '@trimtab/machinery';
import { isApplied } from './applied.js';
import type {
  ApplyEffect,
  BatchEffect,
  CallEffect,
  ConfirmEffect,
  CreateEffect,
  DeleteAllEffect,
  DeleteEffect,
  DoneEffect,
  Effect,
  EventEffect,
  PatchEffect,
  PostEffect,
  PutEffect,
  RequeueAfterEffect,
} from './effects.js';
import type { EventRecorder } from './events.js';
import { expectedOf, idOf, isAmbiguous, isObject, typeId } from './executor-rules.js';
import type { Handlers } from './handlers.js';
import type { ControllerMetrics } from './metrics.js';
import { generateName } from './names.js';
import type { TracedWrite } from './trace.js';
import type { Failure } from './view.js';

const NAME_ATTEMPTS = 8;

export interface ExecutorOptions {
  readonly controller: string;
  readonly client: Client;
  readonly informers: Informers;
  readonly random: Random;
  readonly recorder: EventRecorder;
  readonly metrics?: ControllerMetrics;
  readonly handlers?: Handlers;
  /** False: answers do not go into the caches. For dry runs. */
  readonly recording?: boolean;
}

export interface RunOptions {
  /** No effect is begun once it has fired. */
  readonly signal?: AbortSignal;
  /** Filled as writes succeed, so that it is known what a failed run did. */
  readonly writes?: TracedWrite[];
}

const NEVER = new AbortController().signal;
const REMEMBERED_APPLIES = 10_000;

/** What one evaluation's effects left behind. */
export interface Outcome {
  readonly requeueAfterMs?: number;
  readonly writes: readonly TracedWrite[];
}

interface Run {
  /** Own patches of this run, by object: where one left the object, the next goes on from there. */
  readonly moved: Map<string, { readonly from: string | undefined; readonly to: string | undefined }>;
  readonly key: string;
  readonly signal: AbortSignal;
  readonly writes: TracedWrite[];
  requeueAfterMs: number | undefined;
}

/**
 * Carries effects out, in order. Every answer is in the caches before the next effect. A create whose answer was lost is
 * looked up by its name, at once or, failing that, before its key is evaluated again: it is never made twice.
 */
export class Executor {
  readonly #options: ExecutorOptions;
  readonly #client: Client;
  readonly #failed = new WeakMap<object, Effect>();
  readonly #beside = new WeakMap<object, readonly unknown[]>();
  readonly #applied = new Map<string, { readonly object: KubeObject; readonly revision: string | undefined }>();
  readonly #current = new Map<string, Effect>();
  readonly #uncertain = new Map<string, { readonly resource: ResourceType; readonly key: ObjectKey }[]>();

  constructor(options: ExecutorOptions) {
    this.#options = options;
    const { client, informers, recording = true } = options;
    this.#client = recording ? recordingClient(client, informers) : client;
  }

  /** Finds out about creates of this key whose fate is not known; throws while that is impossible. */
  async settle(key: string): Promise<void> {
    const open = this.#uncertain.get(key) ?? [];
    while (open[0]) {
      await this.#lookUp(open[0].resource, open[0].key);
      open.shift();
    }
    this.#uncertain.delete(key);
  }

  /** Which effect an error thrown by {@link run} is of, and which others failed with it. */
  failure(error: Error): Failure {
    const effect = this.#failed.get(error);
    const beside = this.#beside.get(error) ?? [];
    return {
      error,
      ...(effect ? { effect } : {}),
      ...(beside.length > 0 ? { beside: beside.map((other) => this.failure(other as Error)) } : {}),
    };
  }

  /** The effect under way on account of a key. */
  current(key: string): Effect | undefined {
    return this.#current.get(key);
  }

  /** Stops at the first effect that fails, and throws what it failed with. */
  async run(key: string, effects: readonly Effect[], options: RunOptions = {}): Promise<Outcome> {
    const { signal = NEVER, writes = [] } = options;
    const run: Run = { key, signal, moved: new Map(), writes, requeueAfterMs: undefined };
    try {
      for (const effect of effects) {
        this.#current.set(key, effect);
        await this.#execute(run, effect);
      }
    } finally {
      this.#current.delete(key);
    }
    return { writes: run.writes, ...(run.requeueAfterMs === undefined ? {} : { requeueAfterMs: run.requeueAfterMs }) };
  }

  async #execute(run: Run, effect: Effect): Promise<void> {
    // What comes too late is not done at all: somebody else may be at work by now.
    run.signal.throwIfAborted();
    switch (effect.type) {
      case 'event':
        this.#options.recorder.record(effect.event);
        return;
      case 'requeueAfter':
        run.requeueAfterMs = Math.min(run.requeueAfterMs ?? Number.POSITIVE_INFINITY, effect.ms);
        return;
      case 'done':
        throw new Error(`${this.#options.controller}: done() means something in a cleanup only`);
      case 'call':
        return this.#call(run, effect);
      case 'confirm':
        return this.#confirm(effect);
      case 'batch':
        return this.#batch(run, effect);
      case 'create':
        return this.#announced(effect, run, () => this.#create(run, effect));
      case 'apply':
        return this.#announced(effect, run, () => this.#apply(effect));
      case 'patch':
        return this.#announced(effect, run, () => this.#patch(run, effect));
      case 'delete':
        return this.#announced(effect, run, () => this.#delete(effect));
      case 'deleteAll':
        return this.#announced(effect, run, () => this.#deleteAll(effect));
      case 'post':
        return this.#announced(effect, run, () => this.#post(effect));
      case 'put':
        return this.#announced(effect, run, () => this.#put(run, effect));
    }
  }

  async #call(run: Run, effect: CallEffect): Promise<void> {
    const { handlers, controller } = this.#options;
    const handler = handlers?.[effect.handler];
    if (!handler)
      throw new Error(`${controller} calls "${effect.handler}", and the operator was given no such handler`);
    try {
      await handler(effect.argument as never, { controller, key: run.key, signal: run.signal });
    } catch (error) {
      if (isObject(error)) this.#failed.set(error, effect);
      throw error;
    }
  }

  async #confirm({ resource, key, uid }: ConfirmEffect): Promise<void> {
    const { metadata } = await this.#client.get(resource, key);
    if (metadata.uid !== uid) throw conflict(resource, key.name, 'another object has its name by now');
    if (metadata.deletionTimestamp) throw conflict(resource, key.name, 'it is being deleted');
  }

  async #batch(run: Run, { effects, slowStart }: BatchEffect): Promise<void> {
    let size = slowStart ? 1 : effects.length;
    for (let at = 0; at < effects.length; at += size, size *= 2) {
      const group = effects.slice(at, at + size);
      const results = await Promise.allSettled(group.map((effect) => this.#execute(run, effect)));
      const [first, ...beside] = results.flatMap((result) => (result.status === 'rejected' ? [result.reason] : []));
      if (first === undefined) continue;
      if (isObject(first)) this.#beside.set(first, beside.filter(isObject));
      throw first;
    }
  }

  /** `write` answers what it wrote, or undefined when nothing was to be done. */
  async #announced(
    effect: Exclude<Effect, CallEffect | DoneEffect | ConfirmEffect | EventEffect | BatchEffect | RequeueAfterEffect>,
    run: Run,
    write: () => Promise<Written | undefined>,
  ): Promise<void> {
    const { recorder, metrics, controller } = this.#options;
    const announce = 'announce' in effect ? effect.announce : undefined;
    try {
      metrics?.asking?.(controller, run.key);
      const written = await write();
      if (written === undefined) return;
      const { name, namespace, resourceVersion } = written;
      run.writes.push({
        verb: effect.type,
        resource: effect.resource.resource,
        key: joinKey({ namespace, name }),
        ...(resourceVersion === undefined ? {} : { resourceVersion }),
      });
      metrics?.wrote?.(controller, effect.type, effect.resource.resource);
      if (announce?.done) {
        const { reason, message } = announce.done;
        recorder.record({
          regarding: announce.regarding,
          type: 'Normal',
          reason,
          message: message.replaceAll('{name}', name),
        });
      }
    } catch (error) {
      if (isObject(error)) this.#failed.set(error, effect);
      if (announce?.failed && !isReason(error, 'Conflict')) {
        const { reason, message } = announce.failed;
        const why = error instanceof Error ? error.message : String(error);
        recorder.record({
          regarding: announce.regarding,
          type: 'Warning',
          reason,
          message: message.replaceAll('{error}', why),
        });
      }
      throw error;
    }
  }

  async #create(run: Run, { resource, object, ifMissing }: CreateEffect): Promise<Written | undefined> {
    const { generateName: base, namespace } = object.metadata;
    for (let attempt = 1; ; attempt++) {
      const name = object.metadata.name ?? generateName(base ?? '', this.#options.random);
      try {
        const { metadata } = await this.#client.create(
          resource,
          { ...object, metadata: { ...object.metadata, name } },
          { fieldManager: this.#options.controller },
        );
        return { namespace, name, resourceVersion: metadata.resourceVersion };
      } catch (error) {
        if (isNamespaceTerminating(error) || (ifMissing && isReason(error, 'AlreadyExists'))) return undefined;
        if (isReason(error, 'AlreadyExists') && object.metadata.name === undefined && attempt < NAME_ATTEMPTS) continue;
        if (!isAmbiguous(error)) throw error;
        const key = { namespace, name };
        const found = await this.#lookUp(resource, key).catch(() => {
          const open = this.#uncertain.get(run.key);
          if (open) open.push({ resource, key });
          else this.#uncertain.set(run.key, [{ resource, key }]);
          return false;
        });
        if (!found) throw error;
        return key;
      }
    }
  }

  async #lookUp(resource: ResourceType, key: ObjectKey): Promise<boolean> {
    try {
      this.#options.informers.recordWrite(resource, await this.#client.get(resource, key));
      return true;
    } catch (error) {
      if (isReason(error, 'NotFound')) return false;
      throw error;
    }
  }

  async #apply({ resource, object }: ApplyEffect): Promise<Written | undefined> {
    const { namespace, name = '' } = object.metadata;
    const { controller } = this.#options;
    const key = { namespace, name };
    // Whether anything is to be done is told by the whole object.
    for (const informer of this.#options.informers.all())
      if (typeId(informer.type) === typeId(resource)) informer.widen();
    const cached = this.#cached(resource, key);
    if (isApplied(cached, object, controller)) return undefined;
    const before = cached?.metadata.resourceVersion;
    // The server may write a value in another way than we do; then it is the answer that tells that nothing was to be done.
    const id = idOf(resource, key);
    const last = this.#applied.get(id);
    if (before !== undefined && last?.revision === before && equalJson(last.object, object)) return undefined;
    const body = { apiVersion: apiVersionOf(resource), kind: resource.kind, ...object };
    const { metadata } = await this.#client.patch(
      resource,
      key,
      { type: 'apply', body },
      { fieldManager: controller, force: true },
    );
    const { resourceVersion } = metadata;
    this.#applied.delete(id);
    this.#applied.set(id, { object, revision: resourceVersion });
    if (this.#applied.size > REMEMBERED_APPLIES) this.#applied.delete(this.#applied.keys().next().value!);
    return resourceVersion === before ? undefined : { ...key, resourceVersion };
  }

  async #patch(run: Run, effect: PatchEffect): Promise<Written | undefined> {
    const { resource, key, uid, subresource } = effect;
    const id = idOf(resource, key);
    const expected = expectedOf(run, id, effect.resourceVersion);
    const answer = await this.#client.patch(
      resource,
      key,
      {
        type: 'json',
        body: [
          ...(uid === undefined ? [] : [{ op: 'test', path: '/metadata/uid', value: uid }]),
          ...(expected === undefined ? [] : [{ op: 'replace', path: '/metadata/resourceVersion', value: expected }]),
          ...effect.operations,
        ],
      },
      { fieldManager: this.#options.controller, ...(subresource ? { subresource } : {}) },
    );
    const { resourceVersion } = answer.metadata;
    run.moved.set(id, { from: effect.resourceVersion, to: resourceVersion });
    return { ...key, resourceVersion };
  }

  async #delete(effect: DeleteEffect): Promise<Written | undefined> {
    const { resource, key, uid, resourceVersion, propagationPolicy, gracePeriodSeconds } = effect;
    try {
      await this.#client.delete(resource, key, {
        ...(propagationPolicy ? { propagationPolicy } : {}),
        ...(gracePeriodSeconds === undefined ? {} : { gracePeriodSeconds }),
        ...(uid || resourceVersion ? { preconditions: { uid, resourceVersion } } : {}),
      });
      return key;
    } catch (error) {
      const refused = isReason(error, 'Conflict') && resourceVersion === undefined;
      const gone = isReason(error, 'NotFound') || (refused && !(await this.#isThere(resource, key, uid)));
      if (!gone) throw error;
      if (uid) this.#options.informers.recordDelete(resource, key, uid);
      return undefined;
    }
  }

  /** A conflict may be on account of the uid, or of anything else; only a read tells. */
  async #isThere(resource: ResourceType, key: ObjectKey, uid: string | undefined): Promise<boolean> {
    try {
      return (await this.#client.get(resource, key)).metadata.uid === uid;
    } catch (error) {
      if (isReason(error, 'NotFound')) return false;
      throw error;
    }
  }

  async #post({ resource, key, subresource, body }: PostEffect): Promise<Written> {
    await this.#client.subresource(resource, key, subresource, 'create', body);
    return key;
  }

  async #put(run: Run, { resource, object, subresource }: PutEffect): Promise<Written> {
    const key = { namespace: object.metadata.namespace, name: object.metadata.name! };
    const resourceVersion = expectedOf(run, idOf(resource, key), object.metadata.resourceVersion);
    // Metadata that are the stored ones need not be looked at again by a server in this process.
    const isSame = resourceVersion === object.metadata.resourceVersion;
    const body = isSame ? object : { ...object, metadata: { ...object.metadata, resourceVersion } };
    await this.#client.subresource(resource, key, subresource, 'update', body);
    return key;
  }

  async #deleteAll({ resource, namespace, propagationPolicy }: DeleteAllEffect): Promise<Written | undefined> {
    try {
      await this.#client.deleteCollection(resource, { namespace, ...(propagationPolicy ? { propagationPolicy } : {}) });
      return { name: namespace };
    } catch (error) {
      if (!isReason(error, 'NotFound')) throw error;
      return undefined;
    }
  }

  #cached(resource: ResourceType, key: ObjectKey): KubeObject | undefined {
    for (const informer of this.#options.informers.all())
      if (typeId(informer.type) === typeId(resource)) {
        const object = informer.get(key);
        if (object) return object;
      }
    return undefined;
  }
}

/** What an effect wrote, and where that left it. */
type Written = ObjectKey & { readonly resourceVersion?: string };
