import type { Client } from '@trimtab/client';
import {
  type Clock,
  equalJson,
  formatQuantity,
  isReason,
  type Logger,
  type ResourceQuota,
  type ResourceType,
} from '@trimtab/machinery';
import type { ObjectReader } from '../contracts.js';
import { type Follow, QuotaLedger } from './quota-ledger.js';

export interface QuotaStatusOptions {
  readonly reader: ObjectReader;
  readonly follow: Follow;
  /** Acts as a member of `system:masters`. */
  readonly client: Client;
  readonly clock: Clock;
  readonly logger: Logger;
}

const quotas: ResourceType = {
  group: '',
  version: 'v1',
  kind: 'ResourceQuota',
  resource: 'resourcequotas',
  namespaced: true,
};
/** Pods come in flocks; one write tells of them all. */
const gatherMs = 100;

/**
 * Writes into every ResourceQuota's status what it bounds and what is used of it, shortly after a change. For people and
 * tests to read; admission does its own sums. Gives the function that ends it.
 */
export function keepQuotaStatus({ reader, follow, client, clock, logger }: QuotaStatusOptions): () => void {
  const ledger = new QuotaLedger(reader, (resource, apply) => watch(resource, apply));
  const stops: (() => void)[] = [];
  const stale = new Set<string>();
  let cancel: (() => void) | undefined;
  let running = false;

  function watch(resource: string, apply: Parameters<Follow>[1]): () => void {
    const stop = follow(resource, (change) => {
      apply(change);
      touch(change.key.slice(0, change.key.indexOf('/')));
    });
    stops.push(stop);
    return stop;
  }

  function touch(namespace: string): void {
    stale.add(namespace);
    soon();
  }

  function soon(): void {
    cancel ??= clock.after(gatherMs, () => {
      cancel = undefined;
      if (running) soon();
      else run().catch((error: unknown) => logger.error({ err: error }, 'quota usage could not be computed'));
    });
  }

  async function run(): Promise<void> {
    running = true;
    try {
      for (const namespace of stale.values()) {
        stale.delete(namespace);
        for (const quota of reader.list('/resourcequotas', namespace)) await write(quota as ResourceQuota);
      }
    } finally {
      running = false;
    }
  }

  async function write(quota: ResourceQuota): Promise<void> {
    const hard = quota.spec?.hard ?? {};
    const used = Object.fromEntries([...ledger.used(quota)].map(([name, amount]) => [name, formatQuantity(amount)]));
    const status = { hard, used };
    if (equalJson(quota.status, status)) return;
    await client
      .update(quotas, { ...quota, status } as ResourceQuota, { subresource: 'status' })
      .catch((error: unknown) => {
        if (isReason(error, 'Conflict')) touch(quota.metadata.namespace ?? '');
        else if (!isReason(error, 'NotFound'))
          logger.warn({ err: error, quota: quota.metadata.name }, 'the status of a ResourceQuota could not be written');
      });
  }

  watch('/resourcequotas', () => {});
  for (const quota of reader.list('/resourcequotas')) touch(quota.metadata.namespace ?? '');
  return () => {
    for (const stop of stops) stop();
    cancel?.();
  };
}
