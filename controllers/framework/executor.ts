import type { Client, Informers } from '@trimtab/client';
import { recordingClient } from '@trimtab/client';
import type { KubeObject, ObjectKey, Random, ResourceType } from '@trimtab/machinery';
import { conflict, isReason, joinKey, StatusError } from '@trimtab/machinery';
import type {
  ApplyEffect,
  BatchEffect,
  ConfirmEffect,
  CreateEffect,
  DeleteAllEffect,
  DeleteEffect,
  Effect,
  EventEffect,
  PatchEffect,
  PostEffect,
  PutEffect,
  RequeueAfterEffect,
} from './effects.js';
import type { EventRecorder } from './events.js';
import type { ControllerMetrics } from './metrics.js';
import { generateName } from './names.js';
import type { Failure } from './view.js';

const NAME_ATTEMPTS = 8;

export interface ExecutorOptions {
  readonly controller: string;
  readonly client: Client;
  readonly informers: Informers;
  readonly random: Random;
  readonly recorder: EventRecorder;
  readonly metrics?: ControllerMetrics;
}

/** What one evaluation's effects left behind. */
export interface Outcome {
  readonly requeueAfterMs?: number;
  readonly writes: number;
}

interface Run {
  /** Own patches of this run, by object: where one left the object, the next goes on from there. */
  readonly moved: Map<string, { readonly from: string | undefined; readonly to: string | undefined }>;
  readonly key: string;
  writes: number;
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
  readonly #uncertain = new Map<string, { readonly resource: ResourceType; readonly key: ObjectKey }[]>();

  constructor(options: ExecutorOptions) {
    this.#options = options;
    this.#client = recordingClient(options.client, options.informers);
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

  /** Stops at the first effect that fails, and throws what it failed with. */
  async run(key: string, effects: readonly Effect[]): Promise<Outcome> {
    const run: Run = { key, moved: new Map(), writes: 0, requeueAfterMs: undefined };
    for (const effect of effects) await this.#execute(run, effect);
    return { writes: run.writes, ...(run.requeueAfterMs === undefined ? {} : { requeueAfterMs: run.requeueAfterMs }) };
  }

  async #execute(run: Run, effect: Effect): Promise<void> {
    switch (effect.type) {
      case 'event':
        this.#options.recorder.record(effect.event);
        return;
      case 'requeueAfter':
        run.requeueAfterMs = Math.min(run.requeueAfterMs ?? Number.POSITIVE_INFINITY, effect.ms);
        return;
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

  /** `write` answers the name it wrote, or undefined when nothing was to be done. */
  async #announced(
    effect: Exclude<Effect, ConfirmEffect | EventEffect | BatchEffect | RequeueAfterEffect>,
    run: Run,
    write: () => Promise<string | undefined>,
  ): Promise<void> {
    const { recorder, metrics, controller } = this.#options;
    const announce = 'announce' in effect ? effect.announce : undefined;
    try {
      const name = await write();
      if (name === undefined) return;
      run.writes++;
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

  async #create(run: Run, { resource, object }: CreateEffect): Promise<string | undefined> {
    const { generateName: base, namespace } = object.metadata;
    for (let attempt = 1; ; attempt++) {
      const name = object.metadata.name ?? generateName(base ?? '', this.#options.random);
      try {
        await this.#client.create(
          resource,
          { ...object, metadata: { ...object.metadata, name } },
          { fieldManager: this.#options.controller },
        );
        return name;
      } catch (error) {
        if (isNamespaceTerminating(error)) return undefined;
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
        return name;
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

  async #apply({ resource, object }: ApplyEffect): Promise<string | undefined> {
    const { namespace, name = '' } = object.metadata;
    const cached = this.#cached(resource, { namespace, name });
    const answer = await this.#client.patch(
      resource,
      { namespace, name },
      { type: 'apply', body: object },
      { fieldManager: this.#options.controller, force: true },
    );
    return answer.metadata.resourceVersion === cached?.metadata.resourceVersion ? undefined : name;
  }

  async #patch(run: Run, effect: PatchEffect): Promise<string | undefined> {
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
    run.moved.set(id, { from: effect.resourceVersion, to: answer.metadata.resourceVersion });
    return key.name;
  }

  async #delete(effect: DeleteEffect): Promise<string | undefined> {
    const { resource, key, uid, resourceVersion, propagationPolicy, gracePeriodSeconds } = effect;
    try {
      await this.#client.delete(resource, key, {
        ...(propagationPolicy ? { propagationPolicy } : {}),
        ...(gracePeriodSeconds === undefined ? {} : { gracePeriodSeconds }),
        ...(uid || resourceVersion ? { preconditions: { uid, resourceVersion } } : {}),
      });
      return key.name;
    } catch (error) {
      const replaced = isReason(error, 'Conflict') && resourceVersion === undefined;
      if (!isReason(error, 'NotFound') && !replaced) throw error;
      if (uid) this.#options.informers.recordDelete(resource, key, uid);
      return undefined;
    }
  }

  async #post({ resource, key, subresource, body }: PostEffect): Promise<string> {
    await this.#client.subresource(resource, key, subresource, 'create', body);
    return key.name;
  }

  async #put(run: Run, { resource, object, subresource }: PutEffect): Promise<string> {
    const key = { namespace: object.metadata.namespace, name: object.metadata.name! };
    const resourceVersion = expectedOf(run, idOf(resource, key), object.metadata.resourceVersion);
    const body = { ...object, metadata: { ...object.metadata, resourceVersion } };
    await this.#client.subresource(resource, key, subresource, 'update', body);
    return key.name;
  }

  async #deleteAll({ resource, namespace, propagationPolicy }: DeleteAllEffect): Promise<string | undefined> {
    try {
      await this.#client.deleteCollection(resource, { namespace, ...(propagationPolicy ? { propagationPolicy } : {}) });
      return namespace;
    } catch (error) {
      if (!isReason(error, 'NotFound')) throw error;
      return undefined;
    }
  }

  #cached(resource: ResourceType, key: ObjectKey): KubeObject | undefined {
    for (const informer of this.#options.informers.all())
      if (informer.type.resource === resource.resource && informer.type.group === resource.group) {
        const object = informer.get(key);
        if (object) return object;
      }
    return undefined;
  }
}

const idOf = (resource: ResourceType, key: ObjectKey): string =>
  `${resource.group}/${resource.resource}/${joinKey(key)}`;

/** The revision an object must be at: the one decided from, or where this run's own patches have brought it since. */
function expectedOf(run: Run, id: string, decidedFrom: string | undefined): string | undefined {
  const moved = run.moved.get(id);
  return moved && moved.from === decidedFrom ? moved.to : decidedFrom;
}

const isObject = (value: unknown): value is object => value !== null && typeof value === 'object';

/** The write may or may not have happened. */
const isAmbiguous = (error: unknown): boolean => error instanceof StatusError && [500, 503, 504].includes(error.code);

/** Nothing can be created there any more, and nothing needs to be. */
const isNamespaceTerminating = (error: unknown): boolean =>
  error instanceof StatusError &&
  error.status.details?.causes?.some((c) => c.reason === 'NamespaceTerminating') === true;
