import { isReason } from '@trimtab/machinery';
import type { PodAttachment } from '../node/pod-network.js';
import type { SandboxStatus } from '../runtime/runtime.js';
import { PODS, type Pod, uidOf } from './api.js';
import { containersOf } from './plan.js';
import type { PodContextDeps } from './pod-context.js';

/** The pod's network container and its addresses. All verbs are idempotent, so each may follow a crash of itself. */
export class PodSandbox {
  readonly #deps: PodContextDeps;
  #status: SandboxStatus | undefined;
  #podIPs: readonly string[] = [];

  constructor(deps: PodContextDeps, pod: Pod, found: SandboxStatus | undefined) {
    this.#deps = deps;
    this.#status = found;
    if (found) this.#podIPs = (pod.status?.podIPs ?? []).map(({ ip }) => ip);
  }

  get podIPs(): readonly string[] {
    return this.#podIPs;
  }

  /** The network container's process while there is one. */
  get pid(): number | undefined {
    return this.#status?.state === 'ready' ? this.#status.pid : undefined;
  }

  async run(pod: Pod): Promise<void> {
    if (this.#status?.state === 'dead') await this.remove(pod);
    const { runtime, network, files, nodeIP } = this.#deps;
    this.#status ??= await runtime.runSandbox(await files.sandbox(pod));
    this.#podIPs = pod.spec.hostNetwork ? [nodeIP] : (await network.add(attachment(pod, this.#status.netns))).ips;
  }

  async remove(pod: Pod): Promise<void> {
    const { runtime, network } = this.#deps;
    if (!pod.spec.hostNetwork) await network.del(attachment(pod, this.#status?.netns ?? ''));
    await runtime.removeSandbox(uidOf(pod));
    this.#status = undefined;
    this.#podIPs = [];
  }
}

function attachment(pod: Pod, netns: string): PodAttachment {
  return {
    sandboxId: uidOf(pod),
    netns,
    namespace: pod.metadata.namespace ?? '',
    name: pod.metadata.name ?? '',
    uid: uidOf(pod),
    hostPorts: containersOf(pod.spec).flatMap((c) =>
      (c.ports ?? []).flatMap((p) =>
        p.hostPort
          ? [
              {
                hostPort: p.hostPort,
                containerPort: p.containerPort,
                protocol: p.protocol ?? 'TCP',
                ...(p.hostIP ? { hostIP: p.hostIP } : {}),
              },
            ]
          : [],
      ),
    ),
  };
}

const DELETE_RETRY_MS = [200, 1_000, 5_000, 15_000];

/** Lets the API object go, once, for this very pod: grace 0 with the UID as precondition. */
export async function finalDelete(deps: PodContextDeps, pod: Pod, failures = 0): Promise<void> {
  const { client, clock, logger } = deps;
  const key = { namespace: pod.metadata.namespace, name: pod.metadata.name ?? '' };
  try {
    await client.delete(PODS, key, { gracePeriodSeconds: 0, preconditions: { uid: pod.metadata.uid } });
  } catch (error) {
    if (isReason(error, 'NotFound', 'Conflict')) return;
    const delay = DELETE_RETRY_MS[Math.min(failures, DELETE_RETRY_MS.length - 1)]!;
    logger.warn({ pod: key.name, error: String(error), retryMs: delay }, 'pod not deleted');
    clock.after(delay, () => void finalDelete(deps, pod, failures + 1));
  }
}
