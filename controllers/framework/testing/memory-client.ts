import type { DeleteOptions, ListOptions, Patch, WatchEvent, WatchOptions, WriteOptions } from '@trimtab/client';
import { type ApiCall, CallingClient, callKey } from '@trimtab/client';
import type { Clock, KubeObject, ObjectKey, ObjectMeta, ResourceName, ResourceType } from '@trimtab/machinery';
import {
  alreadyExists,
  apiVersionOf,
  conflict,
  expired,
  invalid,
  joinKey,
  keyOf,
  matchesLabels,
  notFound,
  parseLabelSelector,
  schemaFor,
  serverSideApply,
  timestamp,
  unsupportedMediaType,
} from '@trimtab/machinery';
import fastJsonPatch from 'fast-json-patch';
import { Observable } from 'rxjs';

/** One request, as faults see it. */
export interface Call {
  readonly verb: 'get' | 'list' | 'create' | 'update' | 'patch' | 'delete' | 'post';
  readonly resource: string;
  readonly key: string;
  readonly subresource?: string;
}

/** The revision before the first write. */
const FIRST = 100;

type Body = KubeObject & { readonly spec?: unknown; readonly status?: unknown };
interface Logged {
  readonly rv: number;
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  readonly resource: string;
  readonly object: Body;
}

/**
 * The API's semantics in memory and in virtual time, for controller tests on this floor: one revision sequence, no-op
 * writes, generation, status subresource, uid and revision preconditions, finalizers and pod grace, watches with history,
 * bookmarks, server-side apply. Refuses what it does not do (strategic patches). Faults are thrown by {@link before} (the
 * request is not carried out) and {@link after} (it is, and the answer is lost).
 */
export class MemoryClient extends CallingClient {
  before: (call: Call) => void = () => {};
  after: (call: Call) => void = () => {};
  /** Every write that changed something, as `verb resource key[/subresource]`. */
  readonly writes: string[] = [];
  readonly #clock: Clock;
  readonly #objects = new Map<string, Map<string, Body>>();
  readonly #log: Logged[] = [];
  readonly #watchers = new Set<() => void>();
  #frozen: 'all' | ReadonlySet<string> = new Set();
  #rv = FIRST;
  #uid = 0;

  constructor(clock: Clock) {
    super();
    this.#clock = clock;
  }

  /** Watches (of these types; default all) show nothing new until {@link thaw}; reads and writes go on. */
  freeze(...types: readonly ResourceType[]): void {
    this.#frozen = types.length === 0 ? 'all' : new Set(types.map(idOf));
  }

  thaw(): void {
    this.#frozen = new Set();
    for (const pump of [...this.#watchers]) pump();
  }

  /** What is stored, for assertions. */
  all<T extends KubeObject>(type: ResourceType<T>, namespace?: string): T[] {
    const objects = [...this.#of(type).values()] as unknown as T[];
    return objects.filter((o) => namespace === undefined || o.metadata.namespace === namespace);
  }

  find<T extends KubeObject>(type: ResourceType<T>, key: ObjectKey): T | undefined {
    return this.#of(type).get(joinKey(key)) as T | undefined;
  }

  async call(call: ApiCall): Promise<unknown> {
    const { key: name, ...request } = describe(call, this.#uid);
    await Promise.resolve();
    this.before({ ...request, key: joinKey(name) });
    const before = this.#rv;
    const answer = await this.#answer(call, name);
    if (this.#rv !== before && request.verb !== 'list')
      this.writes.push(
        `${request.verb} ${request.resource} ${joinKey(name)}${request.subresource ? `/${request.subresource}` : ''}`,
      );
    this.after({ ...request, key: joinKey(name) });
    return answer;
  }

  async #answer(call: ApiCall, key: ObjectKey): Promise<unknown> {
    switch (call.verb) {
      case 'get':
        return this.#must(call.type, key);
      case 'list': {
        const items = this.all(call.type)
          .filter((o) => inScope(o, call.options))
          .map((o) => shown(o, call.options));
        const kind = `${call.type.kind}List`;
        return { apiVersion: apiVersionOf(call.type), kind, metadata: { resourceVersion: String(this.#rv) }, items };
      }
      case 'create':
        return this.#create(call.type, key.name, call.object, call.options);
      case 'update':
        return this.#modify(call.type, this.#must(call.type, key), call.object, call.options);
      case 'patch':
        return this.#patch(call);
      case 'delete':
        return this.#delete(call.type, key, call.options);
      case 'deleteCollection':
        for (const each of this.all(call.type).filter((o) => inScope(o, call.options)))
          await this.call({ verb: 'delete', type: call.type, key: keyFrom(each), options: {} });
        return { kind: 'Status', status: 'Success' };
      case 'subresource':
        return this.#bind(call);
      case 'raw':
        throw new Error(`no ${call.path} in memory`);
    }
  }

  watch<T extends KubeObject>(type: ResourceType<T>, options: WatchOptions = {}): Observable<WatchEvent<T>> {
    return new Observable((subscriber) => {
      let at = Math.max(FIRST, Number(options.resourceVersion || this.#rv));
      if (Number.isNaN(at)) subscriber.error(expired('not a revision'));
      const send = ({ type: what, object }: WatchEvent) =>
        subscriber.next({ type: what, object: what === 'BOOKMARK' ? object : shown(object, options) } as WatchEvent<T>);
      const start = () => {
        if (!options.sendInitialEvents) return pump();
        at = this.#rv;
        for (const object of this.all(type)) if (inScope(object, options)) send({ type: 'ADDED', object });
        const annotations = { 'k8s.io/initial-events-end': 'true' };
        send({ type: 'BOOKMARK', object: { metadata: { resourceVersion: String(at), annotations } } });
      };
      const pump = () => {
        if (this.#frozen === 'all' || this.#frozen.has(idOf(type))) return;
        // Revisions follow each other without a gap.
        for (let next = at - FIRST; next < this.#log.length; next++) {
          const { rv, type: what, resource, object } = this.#log[next]!;
          at = rv;
          if (resource === idOf(type) && inScope(object, options)) send({ type: what, object });
        }
      };
      const later = () => queueMicrotask(() => subscriber.closed || pump());
      this.#watchers.add(later);
      queueMicrotask(start);
      return () => this.#watchers.delete(later);
    });
  }

  #create(type: ResourceType, name: string, object: KubeObject, options: WriteOptions): Body {
    const metadata: ObjectMeta = { ...object.metadata, name };
    if (this.#of(type).has(keyOf({ metadata }))) throw alreadyExists(nameOf(type), name);
    const stored: Body = {
      ...object,
      apiVersion: apiVersionOf(type),
      kind: type.kind,
      metadata: {
        ...metadata,
        uid: `uid-${++this.#uid}`,
        creationTimestamp: timestamp(this.#clock.now()),
        ...('spec' in object ? { generation: 1 } : {}),
      },
    };
    return this.#store(type, 'ADDED', stored, options);
  }

  #patch({ type, key, patch, options }: ApiCall & { readonly verb: 'patch' }): Body {
    if (patch.type !== 'apply') {
      const old = this.#must(type, key);
      return this.#modify(type, old, patched(type, old, patch), options);
    }
    const old = this.#of(type).get(joinKey(key));
    const named = patch.body as KubeObject;
    const config = {
      apiVersion: apiVersionOf(type),
      kind: type.kind,
      ...named,
      metadata: { ...named.metadata, ...key },
    };
    const applied = serverSideApply(old, config, {
      // Kinds nobody has described are taken as they come.
      schema: schemaFor(type) ?? { type: 'any' },
      manager: options.fieldManager ?? '',
      apiVersion: apiVersionOf(type),
      now: this.#clock.now(),
      force: options.force ?? false,
      ...(options.subresource ? { subresource: options.subresource } : {}),
    });
    if (!old) return this.#create(type, key.name, applied, options);
    return applied === old ? old : this.#modify(type, old, applied as Body, options);
  }

  #delete(type: ResourceType, key: ObjectKey, options: DeleteOptions): Body {
    const old = this.#must(type, key);
    const { uid, resourceVersion } = options.preconditions ?? {};
    if (uid && uid !== old.metadata.uid)
      throw conflict(nameOf(type), key.name, 'Precondition failed: UID in precondition');
    if (resourceVersion && resourceVersion !== old.metadata.resourceVersion) throw conflict(nameOf(type), key.name);
    const grace = type.resource === 'pods' && isBound(old) ? (options.gracePeriodSeconds ?? 30) : 0;
    if (grace === 0 && !old.metadata.finalizers?.length) return this.#store(type, 'DELETED', old, options);
    if (old.metadata.deletionTimestamp) return old;
    const deletionTimestamp = timestamp(this.#clock.now() + grace * 1000);
    const metadata = { ...old.metadata, deletionTimestamp, deletionGracePeriodSeconds: grace };
    return this.#store(type, 'MODIFIED', { ...old, metadata }, options);
  }

  #bind({ type, key, subresource, how, body }: ApiCall & { readonly verb: 'subresource' }): unknown {
    if (subresource !== 'binding' || how !== 'create') throw new Error(`no subresource ${subresource} in memory`);
    const node = (body as { readonly target: { readonly name: string } }).target.name;
    const old = this.#must(type, key);
    this.#store(type, 'MODIFIED', { ...old, spec: { ...(old.spec as object), nodeName: node } }, {});
    return { kind: 'Status', status: 'Success' };
  }

  #of(type: ResourceType): Map<string, Body> {
    const id = idOf(type);
    const known = this.#objects.get(id);
    if (known) return known;
    const fresh = new Map<string, Body>();
    this.#objects.set(id, fresh);
    return fresh;
  }

  #must(type: ResourceType, key: ObjectKey): Body {
    const object = this.#of(type).get(joinKey(key));
    if (!object) throw notFound(nameOf(type), key.name);
    return object;
  }

  #modify(type: ResourceType, old: Body, wanted: Body, options: WriteOptions): Body {
    const { uid, resourceVersion, name } = wanted.metadata;
    if (resourceVersion && resourceVersion !== old.metadata.resourceVersion) throw conflict(nameOf(type), name!);
    if (uid && uid !== old.metadata.uid)
      throw conflict(nameOf(type), name!, 'Precondition failed: UID in precondition');
    const status = options.subresource === 'status';
    const body: Body = status ? { ...old, status: wanted.status } : withStatus(wanted, old.status);
    const { creationTimestamp, generation, deletionTimestamp, deletionGracePeriodSeconds } = old.metadata;
    const changed = JSON.stringify(desired(body)) !== JSON.stringify(desired(old));
    const metadata: ObjectMeta = {
      ...(status ? old.metadata : wanted.metadata),
      uid: old.metadata.uid,
      creationTimestamp,
      ...(generation === undefined ? {} : { generation: generation + (changed ? 1 : 0) }),
      ...(deletionTimestamp ? { deletionTimestamp, deletionGracePeriodSeconds } : {}),
    };
    const next: Body = { ...body, metadata };
    if (fastJsonPatch.compare(old, next).length === 0) return old;
    if (deletionTimestamp && !metadata.finalizers?.length && !deletionGracePeriodSeconds)
      return this.#store(type, 'DELETED', next, options);
    return this.#store(type, 'MODIFIED', next, options);
  }

  #store(type: ResourceType, what: Logged['type'], object: Body, options: WriteOptions): Body {
    const rv = this.#rv + 1;
    const stored = JSON.parse(
      JSON.stringify({ ...object, metadata: { ...object.metadata, resourceVersion: String(rv) } }),
    ) as Body;
    if (options.dryRun) return stored;
    this.#rv = rv;
    if (what === 'DELETED') this.#of(type).delete(keyOf(stored));
    else this.#of(type).set(keyOf(stored), stored);
    this.#log.push({ rv, type: what, resource: idOf(type), object: stored });
    for (const pump of [...this.#watchers]) pump();
    return stored;
  }
}

const idOf = (type: ResourceType): string => `${type.group}/${type.resource}`;
const nameOf = (type: ResourceType): ResourceName => type;
const isBound = (pod: Body): boolean => Boolean((pod.spec as { readonly nodeName?: string } | undefined)?.nodeName);

const inScope = (object: KubeObject, scope: ListOptions): boolean =>
  (scope.namespace === undefined || scope.namespace === object.metadata.namespace) &&
  (!scope.labelSelector || matchesLabels(parseLabelSelector(scope.labelSelector), object.metadata.labels));

/** As a server shows it that is asked for metadata alone. */
const shown = <T extends KubeObject>(object: T, { metadataOnly }: ListOptions): T =>
  metadataOnly
    ? ({ apiVersion: 'meta.k8s.io/v1', kind: 'PartialObjectMetadata', metadata: object.metadata } as T)
    : object;

const withStatus = (wanted: Body, status: unknown): Body => {
  const { status: _, ...rest } = wanted;
  return status === undefined ? rest : { ...rest, status };
};

/** Everything a change of which is a new generation. */
const desired = (object: Body): unknown => ({ ...object, metadata: undefined, status: undefined });

function patched(type: ResourceType, old: Body, patch: Patch): Body {
  const copy = structuredClone(old) as Body;
  if (patch.type === 'json') {
    const { resourceVersion: _, ...metadata } = copy.metadata;
    const needsRevision = patch.body.some((op) => (op as { path?: string }).path === '/metadata/resourceVersion');
    const base = needsRevision ? copy : { ...copy, metadata };
    try {
      return fastJsonPatch.applyPatch(base, patch.body as fastJsonPatch.Operation[], true).newDocument;
    } catch (error) {
      throw invalid(type, old.metadata.name!, [{ message: String((error as Error).message).split('\n')[0]! }]);
    }
  }
  if (patch.type === 'merge') {
    const body = patch.body as { readonly metadata?: { readonly resourceVersion?: string } };
    const merged = mergePatch(copy, patch.body) as Body;
    return body.metadata?.resourceVersion
      ? merged
      : { ...merged, metadata: { ...merged.metadata, resourceVersion: undefined } };
  }
  throw unsupportedMediaType(`no ${patch.type} patches in memory`);
}

function mergePatch(target: unknown, patch: unknown): unknown {
  if (patch === null || typeof patch !== 'object' || Array.isArray(patch)) return patch;
  const base = target !== null && typeof target === 'object' && !Array.isArray(target) ? target : {};
  const result: Record<string, unknown> = { ...base };
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key];
    else result[key] = mergePatch(result[key], value);
  }
  return result;
}

/** The call as faults and the log of writes name it. */
function describe(call: ApiCall, uids: number): Omit<Call, 'key'> & { readonly key: ObjectKey } {
  if (call.verb === 'raw') return { verb: 'get', resource: call.path, key: { name: '' } };
  const resource = call.type.resource;
  const key = callKey(call) ?? { name: '' };
  switch (call.verb) {
    case 'create': {
      const { generateName } = call.object.metadata;
      const name = key.name || `${generateName}${(uids + 1).toString(36).padStart(5, '0')}`;
      return { verb: 'create', resource, key: { ...key, name } };
    }
    case 'deleteCollection':
      return { verb: 'list', resource, key };
    case 'subresource':
      return { verb: 'post', resource, key, subresource: call.subresource };
    case 'list':
    case 'delete':
      return { verb: call.verb, resource, key };
    default: {
      const { subresource } = call.options;
      return { verb: call.verb, resource, key, ...(subresource ? { subresource } : {}) };
    }
  }
}

const keyFrom = ({ metadata }: KubeObject): ObjectKey => ({ namespace: metadata.namespace, name: metadata.name! });
