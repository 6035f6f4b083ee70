import type {
  Client,
  DeleteOptions,
  GetOptions,
  ListOptions,
  Patch,
  PatchOptions,
  WatchEvent,
  WatchOptions,
  WriteOptions,
} from '@trimtab/client';
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
}

/**
 * The cluster from inside the server's process: no JSON and no HTTP, and the same authorization, admission and registry as
 * for everybody else. Objects given out are the stored ones: they must not be changed.
 */
export class LocalClient implements Client {
  constructor(readonly parts: LocalClientParts) {}

  async get<T extends KubeObject>(type: ResourceType<T>, key: ObjectKey, options: GetOptions = {}): Promise<T> {
    const target = this.#target(type, key, options.subresource);
    this.#authorize('get', target);
    const object = await getObject(this.parts.registry, target, options);
    const scale = target.subresource && target.kind.subresources[target.subresource]?.scale;
    return (scale ? scaleOf(target.kind, scale, object) : object) as KubeObject as T;
  }

  async list<T extends KubeObject>(type: ResourceType<T>, options: ListOptions = {}): Promise<KubeList<T>> {
    const target = this.#target(type, { namespace: options.namespace, name: '' });
    this.#authorize('list', { ...target, name: nameSelected(options.fieldSelector) });
    const { items, ...metadata } = await listObjects(this.parts.registry, target.kind, target.namespace, options);
    return {
      apiVersion: apiVersionOf(target.kind),
      kind: target.kind.listKind,
      metadata,
      items: items as readonly T[],
    };
  }

  watch<T extends KubeObject>(type: ResourceType<T>, options: WatchOptions = {}): Observable<WatchEvent<T>> {
    return new Observable((subscriber) => {
      let stop: (() => void) | undefined;
      let closed = false;
      const start = async () => {
        const target = this.#target(type, { namespace: options.namespace, name: '' });
        this.#authorize('watch', { ...target, name: nameSelected(options.fieldSelector) });
        stop = await watchObjects(this.parts.registry, target.kind, target.namespace, options, {
          next: (notice) => subscriber.next(notice as WatchEvent<T>),
          end: (error) => (error ? subscriber.error(error) : subscriber.complete()),
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

  async create<T extends KubeObject>(type: ResourceType<T>, object: T, options: WriteOptions = {}): Promise<T> {
    const target = this.#target(type, { namespace: object.metadata.namespace, name: object.metadata.name ?? '' });
    this.#authorize('create', { ...target, name: '' });
    const { kind, namespace } = target;
    const { registry } = this.parts;
    const decoded = this.#decode(kind, object);
    const handler = registry.handlers[kind.storage.resource];
    if (!handler) return (await createObject(registry, this.#context(target), kind, namespace, decoded, options)) as T;
    const dryRun = options.dryRun ?? false;
    const admitted = await this.#admit(target, decoded, dryRun);
    return (await handler.create(admitted, this.#handlerContext(target, dryRun))) as T;
  }

  async update<T extends KubeObject>(type: ResourceType<T>, object: T, options: WriteOptions = {}): Promise<T> {
    const key = { namespace: object.metadata.namespace, name: object.metadata.name ?? '' };
    const target = this.#target(type, key, options.subresource);
    this.#authorize('update', target);
    const { kind } = target;
    const stored = this.parts.registry.store.pending(storeKey(kind, target.namespace, target.name));
    // Clients in process mostly write what they were given, with a part of it changed.
    const decoded = this.#decode(kind, object, stored && kind.storage.fromStorage(stored.object));
    return (await updateObject(this.parts.registry, this.#context(target), target, () => decoded, options)).object as T;
  }

  async patch<T extends KubeObject>(
    type: ResourceType<T>,
    key: ObjectKey,
    patch: Patch,
    options: PatchOptions = {},
  ): Promise<T> {
    const target = this.#target(type, key, options.subresource);
    this.#authorize('patch', target);
    const paths = target.kind.subresources[target.subresource]?.scale;
    if (paths) {
      const { kind } = target;
      const change = (old: KubeObject | undefined) =>
        withScale(kind, paths, old!, patchScale(scaleOf(kind, paths, old!), patch));
      const result = await updateObject(this.parts.registry, this.#context(target), target, change, options);
      return scaleOf(kind, paths, result.object) as KubeObject as T;
    }
    return (await patchObject(this.parts.registry, this.#context(target), target, patch, options)).object as T;
  }

  async delete<T extends KubeObject>(
    type: ResourceType<T>,
    key: ObjectKey,
    options: DeleteOptions = {},
  ): Promise<unknown> {
    const target = this.#target(type, key);
    this.#authorize('delete', target);
    const result = await deleteObject(this.parts.registry, this.#context(target), target, options);
    return result.gone ? deletedStatus(target.kind, result.object) : result.object;
  }

  async deleteCollection<T extends KubeObject>(
    type: ResourceType<T>,
    options: ListOptions & DeleteOptions = {},
  ): Promise<unknown> {
    const target = this.#target(type, { namespace: options.namespace, name: '' });
    this.#authorize('deletecollection', target);
    const { gracePeriodSeconds, propagationPolicy, preconditions, dryRun, ...selection } = options;
    const how = { gracePeriodSeconds, propagationPolicy, preconditions, dryRun };
    const { registry } = this.parts;
    return deleteCollection(registry, this.#context(target), target.kind, target.namespace, selection, how);
  }

  async subresource<B, R>(
    type: ResourceType,
    key: ObjectKey,
    subresource: string,
    verb: 'get' | 'create' | 'update',
    body?: B,
    options: WriteOptions = {},
  ): Promise<R> {
    const target = this.#target(type, key, subresource);
    this.#authorize(verb, target);
    const { registry } = this.parts;
    const { kind } = target;
    const sub = kind.subresources[subresource];
    if (!sub) throw notFound({ group: kind.group, resource: `${kind.resource}/${subresource}` }, key.name);
    const context = this.#context(target);
    const dryRun = options.dryRun ?? false;
    if (verb === 'get') return (await this.get(type, key, { subresource })) as unknown as R;
    const given = { metadata: {}, ...(body as object | undefined) } as KubeObject;
    const handler = registry.handlers[`${kind.storage.resource}/${subresource}`];
    if (handler && verb === 'create') {
      const decoded = sub.schema
        ? acceptDecoded(sub.type, decodeTyped<KubeObject>(sub.schema, given), [], 'Ignore', context)
        : given;
      const parent = await getObject(registry, target);
      const admitted = await this.#admit(target, { ...decoded, metadata: decoded.metadata ?? {} }, dryRun);
      return (await handler.create(admitted, { ...this.#handlerContext(target, dryRun), parent })) as R;
    }
    if (subresource === 'binding') return (await bindPod(registry, context, target, given, dryRun)) as R;
    if (subresource === 'eviction') {
      const wanted = (given as { deleteOptions?: DeleteOptions }).deleteOptions ?? {};
      return (await evictPod(registry, context, target, { ...wanted, dryRun })) as R;
    }
    if (sub.scale && verb === 'update') {
      const paths = sub.scale;
      const result = await updateObject(
        registry,
        context,
        target,
        (old) => withScale(kind, paths, old!, given),
        options,
      );
      return scaleOf(kind, paths, result.object) as R;
    }
    if (verb === 'update' && sub.type.kind === kind.kind)
      return (await this.update(type, given, { ...options, subresource })) as R;
    throw methodNotAllowed({ group: kind.group, resource: `${kind.resource}/${subresource}` }, verb);
  }

  raw(path: string): Promise<string> {
    return this.parts.raw(path);
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
