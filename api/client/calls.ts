import type { KubeList, KubeObject, ObjectKey, ResourceType } from '@trimtab/machinery';
import type { Observable } from 'rxjs';
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
} from './client.js';

/** One request to a cluster, as data: what every client carries out and every {@link interpose interposer} may look at. */
export type ApiCall =
  | { readonly verb: 'get'; readonly type: ResourceType; readonly key: ObjectKey; readonly options: GetOptions }
  | { readonly verb: 'list'; readonly type: ResourceType; readonly options: ListOptions }
  | {
      readonly verb: 'create' | 'update';
      readonly type: ResourceType;
      readonly object: KubeObject;
      readonly options: WriteOptions;
    }
  | {
      readonly verb: 'patch';
      readonly type: ResourceType;
      readonly key: ObjectKey;
      readonly patch: Patch;
      readonly options: PatchOptions;
    }
  | { readonly verb: 'delete'; readonly type: ResourceType; readonly key: ObjectKey; readonly options: DeleteOptions }
  | {
      readonly verb: 'deleteCollection';
      readonly type: ResourceType;
      readonly options: ListOptions & DeleteOptions;
    }
  | {
      readonly verb: 'subresource';
      readonly type: ResourceType;
      readonly key: ObjectKey;
      readonly subresource: string;
      readonly how: 'get' | 'create' | 'update';
      readonly body: unknown;
      readonly options: WriteOptions;
    }
  | { readonly verb: 'raw'; readonly path: string };

/** The request verb as authorization knows it (`deletecollection`, a subresource's own); undefined outside resources. */
export function requestVerb(call: ApiCall): string | undefined {
  if (call.verb === 'raw') return undefined;
  return call.verb === 'subresource' ? call.how : call.verb.toLowerCase();
}

export const isWrite = (call: ApiCall): boolean =>
  !['get', 'list', undefined].includes(requestVerb(call)) && !('options' in call && isDry(call.options));

const isDry = (options: object): boolean => (options as WriteOptions).dryRun === true;

/** The object a call names; for a creation whose name is still to be generated the name is empty. */
export function callKey(call: ApiCall): ObjectKey | undefined {
  if ('key' in call) return call.key;
  if ('object' in call) return { namespace: call.object.metadata.namespace, name: call.object.metadata.name ?? '' };
  return undefined;
}

/**
 * The verbs of {@link Client}, each as one {@link ApiCall}: whoever extends this says how a call is carried out and how a
 * watch is opened, and nothing else.
 */
export abstract class CallingClient implements Client {
  abstract call(call: ApiCall): Promise<unknown>;
  abstract watch<T extends KubeObject>(type: ResourceType<T>, options?: WatchOptions): Observable<WatchEvent<T>>;

  get<T extends KubeObject>(type: ResourceType<T>, key: ObjectKey, options: GetOptions = {}): Promise<T> {
    return this.call({ verb: 'get', type: erased(type), key, options }) as Promise<T>;
  }

  list<T extends KubeObject>(type: ResourceType<T>, options: ListOptions = {}): Promise<KubeList<T>> {
    return this.call({ verb: 'list', type: erased(type), options }) as Promise<KubeList<T>>;
  }

  create<T extends KubeObject>(type: ResourceType<T>, object: T, options: WriteOptions = {}): Promise<T> {
    return this.call({ verb: 'create', type: erased(type), object, options }) as Promise<T>;
  }

  update<T extends KubeObject>(type: ResourceType<T>, object: T, options: WriteOptions = {}): Promise<T> {
    return this.call({ verb: 'update', type: erased(type), object, options }) as Promise<T>;
  }

  patch<T extends KubeObject>(
    type: ResourceType<T>,
    key: ObjectKey,
    patch: Patch,
    options: PatchOptions = {},
  ): Promise<T> {
    return this.call({ verb: 'patch', type: erased(type), key, patch, options }) as Promise<T>;
  }

  delete<T extends KubeObject>(type: ResourceType<T>, key: ObjectKey, options: DeleteOptions = {}): Promise<unknown> {
    return this.call({ verb: 'delete', type: erased(type), key, options });
  }

  deleteCollection<T extends KubeObject>(
    type: ResourceType<T>,
    options: ListOptions & DeleteOptions = {},
  ): Promise<unknown> {
    return this.call({ verb: 'deleteCollection', type: erased(type), options });
  }

  subresource<B, R>(
    type: ResourceType,
    key: ObjectKey,
    subresource: string,
    how: 'get' | 'create' | 'update',
    body?: B,
    options: WriteOptions = {},
  ): Promise<R> {
    return this.call({ verb: 'subresource', type, key, subresource, how, body, options }) as Promise<R>;
  }

  raw(path: string): Promise<string> {
    return this.call({ verb: 'raw', path }) as Promise<string>;
  }
}

const erased = <T extends KubeObject>(type: ResourceType<T>): ResourceType => type as unknown as ResourceType;

/** Carries a call out with any client: the inverse of {@link CallingClient}. */
export function perform(client: Client, call: ApiCall): Promise<unknown> {
  if (client instanceof CallingClient) return client.call(call);
  switch (call.verb) {
    case 'get':
      return client.get(call.type, call.key, call.options);
    case 'list':
      return client.list(call.type, call.options);
    case 'create':
    case 'update':
      return client[call.verb](call.type, call.object, call.options);
    case 'patch':
      return client.patch(call.type, call.key, call.patch, call.options);
    case 'delete':
      return client.delete(call.type, call.key, call.options);
    case 'deleteCollection':
      return client.deleteCollection(call.type, call.options);
    case 'subresource':
      return client.subresource(call.type, call.key, call.subresource, call.how, call.body, call.options);
    case 'raw':
      return client.raw(call.path);
  }
}

/** What stands before a client: it may look at a call, change it, refuse it, repeat it, or look at the answer. */
export type Interposer = (call: ApiCall, next: (call: ApiCall) => Promise<unknown>) => Promise<unknown>;

/** The same client with `before` in front of every call; watches pass through, or through `watching`. */
export function interpose(
  client: Client,
  before: Interposer,
  watching: <T extends KubeObject>(type: ResourceType<T>, options?: WatchOptions) => Observable<WatchEvent<T>> = (
    type,
    options,
  ) => client.watch(type, options),
): Client {
  return new InterposedClient(async (call) => before(call, (changed) => perform(client, changed)), watching);
}

class InterposedClient extends CallingClient {
  constructor(
    readonly call: (call: ApiCall) => Promise<unknown>,
    readonly watch: Client['watch'],
  ) {
    super();
  }
}
