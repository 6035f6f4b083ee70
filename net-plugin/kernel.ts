/**
 * The kernel's networking as the plugin needs it: the operations the native core offers over its socket. The command line
 * hands in an implementation, so the plugin runs against a recorder in tests. Every operation is idempotent.
 * A failure rejects with an Error whose message names stage, object and errno.
 */
export interface NetworkKernel {
  /** One request to the native core; see `kubelet-lite/isolation/PROTOCOL.md`, operations `net.*` and `nft.*`. */
  request<R = unknown>(op: string, params: object): Promise<R>;
}

/** `net.bridge`: exists, is up, has at least these addresses (`a.b.c.d/len`). */
export interface BridgeParams {
  readonly name: string;
  readonly mac: string;
  readonly mtu?: number;
  readonly addresses: readonly string[];
}

/**
 * `net.attach`: a veth pair whose one end is in the namespace at `netns`, addressed and routed. With `bridge` the host end is
 * a port of it; without, the node gets one host route an address, with `source` as preferred source.
 */
export interface AttachParams {
  readonly netns: string;
  readonly hostName: string;
  readonly podName: string;
  readonly hostMac: string;
  readonly mac: string;
  readonly mtu?: number;
  readonly addresses: readonly string[];
  readonly gateway: string;
  /** Default `hostMac`. */
  readonly gatewayMac?: string;
  readonly source?: string;
  readonly bridge?: string;
  readonly hairpin?: boolean;
  /** Kept at the host end; `net.list` gives it back. */
  readonly alias?: string;
}

/** `net.detach`: the addresses are unreachable at once; the link goes with its namespace unless `deleteLink`. */
export interface DetachParams {
  readonly hostName: string;
  readonly addresses: readonly string[];
  readonly bridge?: string;
  readonly deleteLink?: boolean;
}

/** `net.route`; `remove` takes it away. */
export interface RouteParams {
  readonly to: string;
  readonly via?: string;
  readonly interface?: string;
  readonly source?: string;
  readonly onlink?: boolean;
  readonly unreachable?: boolean;
  readonly remove?: boolean;
}

/** One entry of `net.list` (`{netns?}` to `{links}`). */
export interface LinkInfo {
  readonly index: number;
  readonly name: string;
  readonly kind: string;
  readonly mac: string;
  readonly mtu: number;
  readonly up: boolean;
  readonly master: number;
  readonly peerIndex: number;
  readonly alias: string;
}

/** One entry of `net.addresses` (`{netns?}` to `{addresses}`). */
export interface AddressInfo {
  readonly index: number;
  readonly address: string;
  readonly prefix: number;
  readonly scope: 'global' | 'link' | 'host';
}

/** `process.run`: a host program run by the core, so that Node never spawns. */
export interface ProcessRunParams {
  readonly args: readonly string[];
  readonly env: readonly string[];
  readonly stdin: string;
  readonly timeoutMs: number;
  readonly maxOutput: number;
}

export interface ProcessRunResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}
