import { type Client, Informers } from '@trimtab/client';
import {
  isReason,
  type KubeObject,
  type Logger,
  type ObjectKey,
  type Random,
  type ResourceType,
  seededRandom,
  silentLogger,
  VirtualClock,
} from '@trimtab/machinery';
import { builtinKinds, createBuiltinStrategies, createRegistry, localClientOf } from '@trimtab/server';
import { memoryEngine, openStore, type Store } from '@trimtab/store';

/** A cluster's API in memory and in virtual time: the server's own code, no port, no certificates, nobody refused. */
export interface World {
  readonly clock: VirtualClock;
  readonly random: Random;
  readonly logger: Logger;
  readonly store: Store;
  readonly client: Client;
  /** Started; shared by whatever runs in this world. */
  readonly informers: Informers;
  /** Puts objects there as they are asked for, in order. */
  create<T extends KubeObject>(type: ResourceType<T>, ...objects: readonly T[]): Promise<readonly T[]>;
  /** Undefined when it is not there. */
  find<T extends KubeObject>(type: ResourceType<T>, key: ObjectKey): Promise<T | undefined>;
  list<T extends KubeObject>(type: ResourceType<T>, namespace?: string): Promise<readonly T[]>;
  /** Lets everything that is due happen, then `ms` of virtual time pass. */
  pass(ms?: number): Promise<void>;
  close(): Promise<void>;
}

export interface WorldOptions {
  readonly seed?: number;
  readonly logger?: Logger;
}

/** How often promise callbacks get a turn before everything is taken to be at rest. */
const TURNS = 25;

export async function world({ seed = 1, logger = silentLogger }: WorldOptions = {}): Promise<World> {
  const clock = new VirtualClock();
  const random = seededRandom(seed);
  const store = await openStore({ engine: memoryEngine(), clock });
  const kinds = [builtinKinds({ strategies: createBuiltinStrategies() })];
  const registry = createRegistry({ store, kinds, clock, random, logger });
  const everybody = { authorize: () => ({ allowed: true, reason: '' }) };
  const user = { name: 'system:test', groups: ['system:masters'] };
  const client = localClientOf(registry, everybody, user);
  const informers = new Informers({ client, clock, random, logger });
  informers.start();
  const settle = async () => {
    for (let turn = 0; turn < TURNS; turn++) await clock.advance(0);
  };
  return {
    clock,
    random,
    logger,
    store,
    client,
    informers,
    async create(type, ...objects) {
      const created = [];
      for (const object of objects) created.push(await client.create(type, object));
      return created;
    },
    find: (type, key) =>
      client.get(type, key).catch((error: unknown) => {
        if (!isReason(error, 'NotFound')) throw error;
        return undefined;
      }),
    list: async (type, namespace) => (await client.list(type, { namespace })).items,
    async pass(ms = 0) {
      await settle();
      if (ms === 0) return;
      await clock.advance(ms);
      await settle();
    },
    async close() {
      informers.stop();
      await settle();
      await store.close();
    },
  };
}
