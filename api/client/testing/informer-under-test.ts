import { type KubeObject, type ResourceType, seededRandom, silentLogger, VirtualClock } from '@trimtab/machinery';
import type { Change } from '../change.js';
import { Informer, type InformerOptions } from '../informer.js';
import { ScriptedClient } from './scripted-client.js';

export const things: ResourceType = { group: '', version: 'v1', kind: 'Thing', resource: 'things', namespaced: true };

export const thing = (name: string, rv: string | number, uid = `uid-${name}`, more: object = {}): KubeObject => ({
  apiVersion: 'v1',
  kind: 'Thing',
  metadata: { namespace: 'ns', name, uid, resourceVersion: String(rv) },
  ...more,
});
export const bookmark = (rv: string | number, end = false): KubeObject => ({
  metadata: { resourceVersion: String(rv), ...(end ? { annotations: { 'k8s.io/initial-events-end': 'true' } } : {}) },
});

export function setup(options: Partial<InformerOptions<KubeObject>> & { watchList?: boolean } = {}) {
  const clock = new VirtualClock();
  const script = new ScriptedClient();
  const traits = { watchList: options.watchList ?? false };
  const informer = new Informer<KubeObject>({
    client: script.asClient,
    type: things,
    clock,
    random: seededRandom(1),
    logger: silentLogger,
    traits,
    ...options,
  });
  const told: string[] = [];
  const say = (change: Change<KubeObject>) => {
    const { uid, name, resourceVersion } = change.object.metadata;
    const mark = change.type === 'deleted' && change.finalStateUnknown ? '?' : '';
    told.push(`${change.type}${mark} ${uid === `uid-${name}` ? name : uid}@${resourceVersion}`);
  };
  informer.addHandler(say);
  informer.start();
  const settle = () => clock.advance(0);
  const names = () => informer.list().map((o) => `${o.metadata.name}@${o.metadata.resourceVersion}`);
  return { clock, script, informer, told, settle, names, traits };
}

export async function synced(options: Parameters<typeof setup>[0] = {}, items = [thing('a', 3)], rv = '5') {
  const t = setup(options);
  t.script.list.answer(items, rv);
  await t.settle();
  return t;
}
