import type { Client } from '@trimtab/client';
import type { Clock, Lease, Logger } from '@trimtab/machinery';
import { isReason, Leases, microTimestamp } from '@trimtab/machinery';

const NAMESPACE = 'kube-node-lease';
const DURATION_SECONDS = 40;
const RENEW_MS = 10_000;
const RETRY_MS = 1_000;

/** The longest between two attempts while the lease cannot be renewed (kubernetes: pkg/kubelet, maxBackoff). */
const LONGEST_RETRY_MS = 7_000;

/**
 * Keeps the node's Lease fresh: the cheap sign of life the node lifecycle controller looks at. An outage is told once, and its
 * end. Returns how to stop.
 */
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
  let failures = 0;

  const loop = async (): Promise<void> => {
    let next = first ?? RENEW_MS;
    try {
      await renew();
      first = undefined;
      if (failures > 0) logger.info({ node: nodeName, failures }, 'node lease renewed again');
      failures = 0;
    } catch (error) {
      next = Math.min(RETRY_MS * 2 ** Math.min(failures, 3), LONGEST_RETRY_MS);
      const level = failures++ === 0 ? 'warn' : 'debug';
      logger[level]({ node: nodeName, error: String(error), retryMs: next }, 'node lease not renewed');
    }
    if (!stopped) cancel = clock.after(next, () => void loop());
  };

  void loop();
  return () => {
    stopped = true;
    cancel();
  };
}
