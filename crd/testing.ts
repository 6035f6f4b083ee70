import { Informers } from '@trimtab/client';
import { seededRandom, silentLogger, VirtualClock } from '@trimtab/machinery';
import {
  builtinKinds,
  createBuiltinStrategies,
  createRegistry,
  localClientOf,
  type WebhookCaller,
} from '@trimtab/server';
import { memoryEngine, openStore } from '@trimtab/store';
import { customKindSource, DefinitionController, definitionStrategy } from './index.js';

/** The API server's own code in memory, with custom kinds: what tests of this package stand on. */
export async function cluster(webhooks?: WebhookCaller) {
  const clock = new VirtualClock();
  const random = seededRandom(1);
  const logger = silentLogger;
  const store = await openStore({ engine: memoryEngine(), clock });
  const strategies = {
    ...createBuiltinStrategies(),
    'apiextensions.k8s.io/customresourcedefinitions': definitionStrategy,
  };
  const kinds = [builtinKinds({ strategies }), customKindSource(store, webhooks)];
  const registry = createRegistry({ store, kinds, clock, random, logger });
  const client = localClientOf(
    registry,
    { authorize: () => ({ allowed: true, reason: '' }) },
    { name: 'test', groups: [] },
  );
  const informers = new Informers({ client, clock, random, logger });
  new DefinitionController({ client, informers, clock, logger }).start();
  informers.start();
  const pass = async (ms = 0) => {
    for (let i = 0; i < 20; i++) await clock.advance(i === 10 ? ms : 0);
  };
  await pass();
  return { client, pass };
}
