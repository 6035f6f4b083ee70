import type { Client, WatchEvent } from '@trimtab/client';
import {
  type ConfigMap,
  type Deployment,
  type KubeObject,
  type ObjectMeta,
  type Pod,
  type StatusError,
  seededRandom,
  silentLogger,
  VirtualClock,
} from '@trimtab/machinery';
import { memoryEngine, openStore, type Store } from '@trimtab/store';
import type { AdmissionPlugin, Authorizer, CreateOnlyHandlers } from '../contracts.js';
import { createRegistry, localClientOf } from '../server.js';
import { builtinKinds } from './builtin-kinds.js';
import type { Registry } from './context.js';
import { createBuiltinStrategies } from './strategies/index.js';

export interface TestCluster {
  readonly clock: VirtualClock;
  readonly store: Store;
  readonly registry: Registry;
  readonly client: Client;
}

export const allowAll: Authorizer = { authorize: () => ({ allowed: true, reason: '' }) };

/** A registry over an empty store in virtual time, and a client that may do everything. */
export async function testCluster(
  parts: {
    readonly admission?: readonly AdmissionPlugin[];
    readonly handlers?: CreateOnlyHandlers;
    readonly authorizer?: Authorizer;
  } = {},
): Promise<TestCluster> {
  const clock = new VirtualClock();
  const store = await openStore({ engine: memoryEngine(), clock });
  const registry = createRegistry({
    store,
    kinds: [builtinKinds({ strategies: createBuiltinStrategies() })],
    admission: parts.admission,
    handlers: parts.handlers,
    clock,
    random: seededRandom(7),
    logger: silentLogger,
  });
  const client = localClientOf(registry, parts.authorizer ?? allowAll, { name: 'tester', groups: ['system:masters'] });
  return { clock, store, registry, client };
}

/** Objects of any shape, as tests write them. */
export function object(kind: string, metadata: ObjectMeta, fields: object = {}, apiVersion = 'v1'): KubeObject {
  return { apiVersion, kind, metadata, ...fields };
}

export function pod(name: string, fields: { readonly metadata?: ObjectMeta; readonly spec?: object } = {}): Pod {
  return object(
    'Pod',
    { name, namespace: 'default', ...fields.metadata },
    { spec: { containers: [{ name: 'main', image: 'app:1' }], ...fields.spec } },
  ) as Pod;
}

/** `ADDED a`, `DELETED b`, `BOOKMARK`… as they arrive. */
export function record(client: Client, type: Parameters<Client['watch']>[0], options: Parameters<Client['watch']>[1]) {
  const seen: string[] = [];
  const events: WatchEvent[] = [];
  let ended: unknown;
  const subscription = client.watch(type, options).subscribe({
    next: (event) => {
      events.push(event);
      seen.push(event.type === 'BOOKMARK' ? 'BOOKMARK' : `${event.type} ${event.object.metadata.name}`);
    },
    error: (error: unknown) => {
      ended = error;
    },
    complete: () => {
      ended = 'complete';
    },
  });
  return { seen, events, stop: () => subscription.unsubscribe(), ended: () => ended };
}

/** A ConfigMap in the default namespace. */
export const map = (name: string, data: Record<string, string> = {}, metadata: ObjectMeta = {}): ConfigMap => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, namespace: 'default', ...metadata },
  data,
});
/** In the default namespace. */
export const key = (name: string) => ({ namespace: 'default', name });
/** What the promise is rejected with. */
export const failure = async (promise: Promise<unknown>): Promise<StatusError> => {
  try {
    await promise;
  } catch (error) {
    return error as StatusError;
  }
  throw new Error('it should have failed');
};
export const deployment = (name: string, replicas = 2): Deployment =>
  object(
    'Deployment',
    { name, namespace: 'default' },
    {
      spec: {
        replicas,
        selector: { matchLabels: { app: name } },
        template: {
          metadata: { labels: { app: name } },
          spec: {
            containers: [
              { name: 'main', image: 'app:1' },
              { name: 'side', image: 'side:1' },
            ],
          },
        },
      },
    },
    'apps/v1',
  ) as Deployment;
