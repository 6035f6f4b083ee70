/**
 * The kernel's networking as the plugin needs it: the operations the native core offers over its socket. The command line
 * hands in an implementation, so the plugin runs against a recorder in tests. Every operation is idempotent.
 * A failure rejects with an Error whose message names stage, object and errno.
 */
export interface NetworkKernel {
  /** One request to the native core; see `kubelet-lite/isolation/PROTOCOL.md`, operations `net.*` and `nft.*`. */
  request<R = unknown>(op: string, params: object): Promise<R>;
}
