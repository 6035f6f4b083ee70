export type { PodAttachment, PodNetwork, PodNetworkStatus } from './cni/pod-network.js';
export { CniError } from './cni/types.js';
export { removeNetwork } from './dataplane.js';
export * from './kernel.js';
export { type Network, startNetwork } from './network.js';
export type { NetworkOptions } from './options.js';
