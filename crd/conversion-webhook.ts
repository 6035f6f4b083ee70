import { randomUUID } from 'node:crypto';
import { type CustomResourceDefinition, internalError, type KubeObject } from '@trimtab/machinery';
import type { WebhookCaller } from '@trimtab/server';
import { convertedOf, nameOf, reviewOf } from './conversion.js';

/** As long as Kubernetes waits for a conversion. */
const TIMEOUT_MS = 30_000;

/** Brings objects of one kind to another version, all in one call. Rejects with a 500 that says why they could not be. */
export type Convert = (objects: readonly KubeObject[], apiVersion: string) => Promise<readonly KubeObject[]>;

/** Asks the webhook a definition names. Objects that are in the wanted version already are not sent. */
export function webhookConversion({ spec }: CustomResourceDefinition, caller: WebhookCaller | undefined): Convert {
  const config = spec.conversion?.webhook?.clientConfig;
  return async (objects, apiVersion) => {
    const others = objects.filter((object) => object.apiVersion !== apiVersion);
    if (others.length === 0) return objects;
    const failed = (why: string) => internalError(`conversion webhook for ${nameOf(others[0]!)} failed: ${why}`);
    if (caller === undefined || config === undefined)
      throw failed('this server was given no way to call webhooks; hand customKindSource a WebhookCaller');
    const uid = randomUUID();
    const answer = await caller.call(config, reviewOf(uid, apiVersion, others), TIMEOUT_MS).catch((error: unknown) => {
      throw failed(error instanceof Error ? error.message : String(error));
    });
    const converted = convertedOf(answer, uid, apiVersion, others);
    let next = 0;
    return objects.map((object) => (object.apiVersion === apiVersion ? object : converted[next++]!));
  };
}
