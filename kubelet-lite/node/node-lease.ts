import type { Client } from '@trimtab/client';
import type { Clock, Lease, Logger } from '@trimtab/machinery';
import { isReason, Leases, microTimestamp } from '@trimtab/machinery';

const NAMESPACE = 'kube-node-lease';
const DURATION_SECONDS = 40;
const RENEW_MS = 10_000;
const RETRY_MS = 1_000;

/** Keeps the node's Lease fresh: the cheap sign of life the node lifecycle controller looks at. Returns how to stop. */
export function keepLease(options: {
  readonly client: Client;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly nodeName: string;
  readonly nodeUid: () => string | undefined;
  /** Until the first renewal; default as between any two. */
  readonly firstRenewMs?: number;
}): () => void {
  const { client, clock, logger, nodeName } = options;
  let known = false;
  let stopped = false;
  let cancel = (): void => {};

  const renew = async (): Promise<void> => {
    const renewTime = microTimestamp(clock.now());
    if (known) {
      try {
        await client.patch(
          Leases,
          { namespace: NAMESPACE, name: nodeName },
          { type: 'merge', body: { spec: { renewTime } } },
        );
        return;
      } catch (error) {
        if (!isReason(error, 'NotFound')) throw error;
        known = false;
      }
    }
    await create(renewTime);
    known = true;
  };

  const create = async (renewTime: string): Promise<void> => {
    const uid = options.nodeUid();
    const lease: Lease = {
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: {
        namespace: NAMESPACE,
        name: nodeName,
        ...(uid ? { ownerReferences: [{ apiVersion: 'v1', kind: 'Node', name: nodeName, uid }] } : {}),
      },
      spec: { holderIdentity: nodeName, leaseDurationSeconds: DURATION_SECONDS, renewTime },
    };
    try {
      await client.create(Leases, lease);
    } catch (error) {
      if (!isReason(error, 'AlreadyExists')) throw error;
      const body = { spec: { ...lease.spec } };
      await client.patch(Leases, { namespace: NAMESPACE, name: nodeName }, { type: 'merge', body });
    }
  };

  let first = options.firstRenewMs;

  const loop = async (): Promise<void> => {
    let next = first ?? RENEW_MS;
    try {
      await renew();
      first = undefined;
    } catch (error) {
      logger.warn({ node: nodeName, error: String(error) }, 'node lease not renewed');
      next = RETRY_MS;
    }
    if (!stopped) cancel = clock.after(next, () => void loop());
  };

  void loop();
  return () => {
    stopped = true;
    cancel();
  };
}
