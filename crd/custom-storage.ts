import {
  type CustomResourceDefinition,
  type CustomResourceDefinitionVersion,
  decodeStructural,
  internalError,
  type KubeObject,
  type Schema,
} from '@trimtab/machinery';
import type { KindStorage, WebhookCaller } from '@trimtab/server';
import { needsWebhook } from './conversion.js';
import { type Convert, webhookConversion } from './conversion-webhook.js';

/**
 * Where custom objects lie, and how they are seen in one of their versions. What is read is pruned and defaulted by the
 * version's schema, as what is written is, so that a definition that has changed shows in objects written before. The same
 * object gives the same result every time.
 */
export function storageOf(
  definition: CustomResourceDefinition,
  version: CustomResourceDefinitionVersion,
  schema: Schema,
  webhooks: WebhookCaller | undefined,
): KindStorage {
  const { spec } = definition;
  const place = {
    resource: `${spec.group}/${spec.names.plural}`,
    apiVersion: `${spec.group}/${spec.versions.find(({ storage }) => storage)!.name}`,
    kind: spec.names.kind,
  };
  const served = `${spec.group}/${version.name}`;
  const shown = (object: KubeObject): KubeObject => decodeStructural<KubeObject>(schema, object).value;
  if (!needsWebhook(definition)) {
    const known = new WeakMap<KubeObject, KubeObject>();
    return {
      ...place,
      fromStorage: (object) => remembered(known, object, () => shown(renamed(object, served))),
      toStorage: (object) => renamed(object, place.apiVersion),
    };
  }
  return converting(place, served, shown, webhookConversion(definition, webhooks));
}

/** Without a conversion webhook versions differ in their name alone. */
const renamed = (object: KubeObject, apiVersion: string): KubeObject =>
  object.apiVersion === apiVersion ? object : { ...object, apiVersion };

function remembered(known: WeakMap<KubeObject, KubeObject>, object: KubeObject, make: () => KubeObject): KubeObject {
  let made = known.get(object);
  if (made === undefined) {
    made = make();
    known.set(object, made);
  }
  return made;
}

function converting(
  place: Pick<KindStorage, 'resource' | 'apiVersion' | 'kind'>,
  served: string,
  shown: (object: KubeObject) => KubeObject,
  convert: Convert,
): KindStorage {
  const known = { served: new WeakMap<KubeObject, KubeObject>(), storage: new WeakMap<KubeObject, KubeObject>() };
  const target = { served, storage: place.apiVersion };
  const ready =
    (to: 'served' | 'storage') =>
    (object: KubeObject): KubeObject => {
      if (object.apiVersion === target[to])
        return to === 'storage' ? object : remembered(known.served, object, () => shown(object));
      const converted = known[to].get(object);
      if (converted === undefined) throw internalError(`${place.kind} was not converted to ${target[to]}`);
      return converted;
    };
  return {
    ...place,
    fromStorage: ready('served'),
    toStorage: ready('storage'),
    async prepare(objects, to) {
      const missing = objects.filter((object) => object.apiVersion !== target[to] && !known[to].has(object));
      if (missing.length === 0) return;
      const converted = await convert(missing, target[to]);
      missing.forEach((object, index) => {
        known[to].set(object, to === 'served' ? shown(converted[index]!) : converted[index]!);
      });
    },
  };
}
