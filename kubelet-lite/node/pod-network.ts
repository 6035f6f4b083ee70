/**
 * What the kubelet asks of a pod network: the CNI verbs, nothing else. The command line hands in the network plugin.
 * Verbs are idempotent; `add` of an attached pod answers with the addresses it already has.
 */
export interface PodNetwork {
  add(attachment: PodAttachment): Promise<PodNetworkStatus>;
  /** Best effort and idempotent; the namespace may be gone. */
  del(attachment: PodAttachment): Promise<void>;
  /** Drops every attachment whose sandbox is not in `living` (CNI GC). */
  gc(living: readonly string[]): Promise<void>;
  /** Rejects with the reason while pods cannot be attached (CNI STATUS). */
  status(): Promise<void>;
}

export interface PodAttachment {
  readonly sandboxId: string;
  /** Path that opens the pod's network namespace. */
  readonly netns: string;
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly hostPorts: readonly {
    readonly hostPort: number;
    readonly containerPort: number;
    readonly protocol: string;
    readonly hostIP?: string;
  }[];
}

export interface PodNetworkStatus {
  /** Primary address first, without prefix length. */
  readonly ips: readonly string[];
}
