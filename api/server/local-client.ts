import type {
  ApiCall,
  DeleteOptions,
  GetOptions,
  ListOptions,
  Patch,
  PatchOptions,
  WatchEvent,
  WatchOptions,
  WriteOptions,
} from '@trimtab/client';
import { CallingClient } from '@trimtab/client';
import {
  apiVersionOf,
  badRequest,
  decodeTyped,
  type KubeList,
  type KubeObject,
  methodNotAllowed,
  notFound,
  type ObjectKey,
  type ResourceType,
} from '@trimtab/machinery';
import { Observable } from 'rxjs';
import { refusal } from './authorization/refusal.js';
import type { AccessAttributes, Authorizer, UserInfo } from './contracts.js';
import { momentOf, parseInstant, snapshotAt } from './history/instant.js';
import type { Pace } from './pace.js';
import { mutate, validate } from './registry/admit.js';
import { bindPod } from './registry/binding.js';
import { type Registry, type RequestContext, resourceName, storeKey, type Target } from './registry/context.js';
import { createObject } from './registry/create.js';
import { acceptDecoded } from './registry/decoding.js';
import { deleteCollection, deletedStatus, deleteObject } from './registry/delete.js';
import { evictPod } from './registry/eviction.js';
import { patchObject } from './registry/patch.js';
import { getObject, listObjects } from './registry/read.js';
import { patchScale, scaleOf, withScale } from './registry/scale.js';
import { nameSelected } from './registry/selection.js';
import type { ServedKind } from './registry/served-kind.js';
import { updateObject } from './registry/update.js';
import { watchObjects } from './registry/watch.js';

export interface LocalClientParts {
  readonly registry: Registry;
  readonly authorizer: Authorizer;
  readonly user: UserInfo;
  /** The field manager where a call names none. */
  readonly fieldManager: string;
  /** Answers {@link Client.raw}. */
  readonly raw: (path: string) => Promise<string>;
  /** When watches are told of changes, and writes begin and are told of; at once unless said otherwise. */
  readonly pace?: Pace;
}

const reads: ReadonlySet<ApiCall['verb']> = new Set(['raw', 'get', 'list']);

/**
 * The cluster from inside the server's process: no JSON and no HTTP, and the same authorization, admission and registry as
 * for everybody else. Objects given out are the stored ones: they must not be changed.
 */
export class LocalClient extends CallingClient {
  constructor(readonly parts: LocalClientParts) {
    super();
  }

  async call(call: ApiCall): Promise<unknown> {
    const { pace } = this.parts;
    if (!pace || reads.has(call.verb)) return this.#call(call);
    const begin = pace.turn();
    if (begin) await begin;
    // Who is told of a write goes on, and does so no sooner than those who were told of what it changed.
    try {
      return await this.#call(call);
    } finally {
      await pace.turn();
    }
  }

  async #call(call: ApiCall): Promise<unknown> {
    switch (call.verb) {
      case 'raw':
        return this.parts.raw(call.path);
      case 'get':
        return this.#get(this.#asked('get', call.type, call.key, call.options.subresource), call.options);
      case 'list':
        return this.#list(this.#asked('list', call.type, ...selected(call.options)), call.options);
      case 'create': {
        const { namespace, name = '' } = call.object.metadata;
        const target = this.#target(call.type, { namespace, name });
        this.#authorize('create', { ...target, name: '' });
        return this.#create(target, call.object, call.options);
      }
      case 'update': {
        const key = { namespace: call.object.metadata.namespace, name: call.object.metadata.name ?? '' };
        return this.#update(this.#asked('update', call.type, key, call.options.subresource), call.object, call.options);
      }
      case 'patch':
        return this.#patch(
          this.#asked('patch', call.type, call.key, call.options.subresource),
          call.patch,
          call.options,
        );
      case 'delete': {
        const target = this.#asked('delete', call.type, call.key);
        const result = await deleteObject(this.parts.registry, this.#context(target), target, call.options);
        return result.gone ? deletedStatus(target.kind, result.object) : result.object;
      }
      case 'deleteCollection': {
        const { gracePeriodSeconds, propagationPolicy, preconditions, dryRun, ...selection } = call.options;
        const how = { gracePeriodSeconds, propagationPolicy, preconditions, dryRun };
        const target = this.#asked('deletecollection', call.type, { namespace: selection.namespace, name: '' });
        const { kind, namespace } = target;
        return deleteCollection(this.parts.registry, this.#context(target), kind, namespace, selection, how);
      }
      case 'subresource':
        return this.#subresource(call);
    }
  }

  watch<T extends KubeObject>(type: ResourceType<T>, options: WatchOptions = {}): Observable<WatchEvent<T>> {
    return new Observable((subscriber) => {
      let stop: (() => void) | undefined;
      let closed = false;
      const { pace } = this.parts;
      const told = (step: () => void) => (pace ? pace.step(step) : step());
      const start = async () => {
        const { kind, namespace } = this.#asked('watch', type as unknown as ResourceType, ...selected(options));
        stop = await watchObjects(this.parts.registry, kind, namespace, options, {
          next: (notice) => told(() => subscriber.next(notice as WatchEvent<T>)),
          end: (error) => told(() => (error ? subscriber.error(error) : subscriber.complete())),
        });
        if (closed) stop();
      };
      start().catch((error: unknown) => subscriber.error(error));
      return () => {
        closed = true;
        stop?.();
      };
    });
  }

  /** What a call is about, once it is known to be allowed. */
  #asked(verb: string, type: ResourceType, key: ObjectKey, subresource = '', selectedName?: string): Target {
    const target = this.#target(type, key, subresource);
    this.#authorize(verb, selectedName === undefined ? target : { ...target, name: selectedName });
    return target;
  }

  async #get(target: Target, options: GetOptions): Promise<KubeObject> {
    const { kind, name, subresource } = target;
    if (subresource && !kind.subresources[subresource])
      throw notFound({ group: kind.group, resource: `${kind.resource}/${subresource}` }, name);
    const { store, clock } = this.parts.registry;
    const then = options.at ? momentOf(store, parseInstant(options.at, clock.now())) : undefined;
    const object = await getObject(this.parts.registry, target, options, then && snapshotAt(store, then));
    const scale = target.subresource && target.kind.subresources[target.subresource]?.scale;
    return (scale ? scaleOf(target.kind, scale, object) : object) as KubeObject;
  }

  async #list({ kind, namespace }: Target, options: ListOptions): Promise<KubeList> {
    const { items, ...metadata } = await listObjects(this.parts.registry, kind, namespace, options);
    return { apiVersion: apiVersionOf(kind), kind: kind.listKind, metadata, items };
  }

  async #create(target: Target, object: KubeObject, options: WriteOptions): Promise<KubeObject> {
    const { kind, namespace } = target;
    const { registry } = this.parts;
    const decoded = this.#decode(kind, object);
    const handler = registry.handlers[kind.storage.resource];
    if (!handler) return createObject(registry, this.#context(target), kind, namespace, decoded, options);
    const dryRun = options.dryRun ?? false;
    const admitted = await this.#admit(target, decoded, dryRun);
    return (await handler.create(admitted, this.#handlerContext(target, dryRun))) as KubeObject;
  }

  async #update(target: Target, object: KubeObject, options: WriteOptions): Promise<KubeObject> {
    const { kind } = target;
    const stored = this.parts.registry.store.pending(storeKey(kind, target.namespace, target.name));
    // Clients in process mostly write what they were given, with a part of it changed.
    const decoded = this.#decode(
      kind,
      object,
      stored && !kind.storage.prepare ? kind.storage.fromStorage(stored.object) : undefined,
    );
    return (await updateObject(this.parts.registry, this.#context(target), target, () => decoded, options)).object;
  }

  async #patch(target: Target, patch: Patch, options: PatchOptions): Promise<KubeObject> {
    const { kind } = target;
    const { registry } = this.parts;
    const paths = kind.subresources[target.subresource]?.scale;
    if (!paths) return (await patchObject(registry, this.#context(target), target, patch, options)).object;
    const change = (old: KubeObject | undefined) =>
      withScale(kind, paths, old!, patchScale(scaleOf(kind, paths, old!), patch));
    const result = await updateObject(registry, this.#context(target), target, change, options);
    return scaleOf(kind, paths, result.object) as KubeObject;
  }

  async #subresource(call: ApiCall & { readonly verb: 'subresource' }): Promise<unknown> {
    const { type, key, subresource, how: verb, body, options } = call;
    const target = this.#asked(verb, type, key, subresource);
    const { registry } = this.parts;
    const { kind } = target;
    const sub = kind.subresources[subresource];
    if (!sub) throw notFound({ group: kind.group, resource: `${kind.resource}/${subresource}` }, key.name);
    const context = this.#context(target);
    const dryRun = options.dryRun ?? false;
    if (verb === 'get') return this.#get(target, { subresource });
    const given = (hasMetadata(body) ? body : { metadata: {}, ...(body as object | undefined) }) as KubeObject;
    const handler = registry.handlers[`${kind.storage.resource}/${subresource}`];
    if (handler && verb === 'create') {
      const decoded = sub.schema
        ? acceptDecoded(sub.type, decodeTyped<KubeObject>(sub.schema, given), [], 'Ignore', context)
        : given;
      const parent = await getObject(registry, target);
      const admitted = await this.#admit(target, { ...decoded, metadata: decoded.metadata ?? {} }, dryRun);
      return handler.create(admitted, { ...this.#handlerContext(target, dryRun), parent });
    }
    if (subresource === 'binding') return bindPod(registry, context, target, given, dryRun);
    if (subresource === 'eviction') {
      const wanted = (given as { deleteOptions?: DeleteOptions }).deleteOptions ?? {};
      return evictPod(registry, context, target, { ...wanted, dryRun });
    }
    if (sub.scale && verb === 'update') {
      const paths = sub.scale;
      const change = (old: KubeObject | undefined) => withScale(kind, paths, old!, given);
      return scaleOf(kind, paths, (await updateObject(registry, context, target, change, options)).object);
    }
    if (verb === 'update' && sub.type.kind === kind.kind) return this.update(type, given, { ...options, subresource });
    throw methodNotAllowed({ group: kind.group, resource: `${kind.resource}/${subresource}` }, verb);
  }

  #target(type: ResourceType, key: ObjectKey, subresource = ''): Target {
    const kind = this.parts.registry.kinds.find(type.group, type.version, type.resource);
    if (!kind) throw notFound({ group: type.group, resource: type.resource }, key.name);
    const namespace = kind.namespaced ? (key.namespace ?? '') : kind.resource === 'namespaces' ? key.name : '';
    return { kind, namespace, name: key.name, subresource };
  }

  #attributes(verb: string, target: Target): AccessAttributes {
    const { group, version, resource } = target.kind;
    const { namespace, name, subresource } = target;
    return { user: this.parts.user, verb, resource: { group, version, resource, subresource, namespace, name } };
  }

  #authorize(verb: string, target: Target): void {
    const attributes = this.#attributes(verb, target);
    const decision = this.parts.authorizer.authorize(attributes);
    if (!decision.allowed) throw refusal(attributes, decision);
    if (target.kind.namespaced && target.namespace === '' && !['list', 'watch', 'deletecollection'].includes(verb))
      throw badRequest(`a namespace is needed to ${verb} ${resourceName(target.kind).resource}`);
  }

  #context(target: Target): RequestContext {
    return {
      user: this.parts.user,
      fieldManager: this.parts.fieldManager,
      warn: (message) => this.parts.registry.logger.debug({ warning: message }, 'warning to a client in process'),
      authorize: (verb) => this.#authorize(verb, target),
    };
  }

  #decode(kind: ServedKind, object: KubeObject, known?: KubeObject): KubeObject {
    const context = { user: this.parts.user, fieldManager: this.parts.fieldManager, warn: () => {} };
    return acceptDecoded(kind, kind.decode(object, { known }), [], 'Ignore', context);
  }

  async #admit(target: Target, object: KubeObject, dryRun: boolean): Promise<KubeObject> {
    const context = this.#context(target);
    const { registry } = this.parts;
    const admitted = await mutate(registry, context, target, { operation: 'CREATE', object, dryRun });
    await validate(registry, context, target, { operation: 'CREATE', object: admitted, dryRun });
    return admitted;
  }

  #handlerContext(target: Target, dryRun: boolean) {
    const { namespace, name } = target;
    return { user: this.parts.user, namespace, name, dryRun, warn: () => {} };
  }
}

const hasMetadata = (body: unknown): boolean => (body as Partial<KubeObject> | undefined)?.metadata !== undefined;

/** The collection a list or watch is of, and the one name its selector leaves of it. */
const selected = (options: ListOptions): [ObjectKey, string, string | undefined] => [
  { namespace: options.namespace, name: '' },
  '',
  nameSelected(options.fieldSelector),
];
