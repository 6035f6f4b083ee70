export type { PodAttachment, PodNetwork, PodNetworkStatus } from './cni/pod-network.js';
export { CniError } from './cni/types.js';
export * from './kernel.js';
export { type Network, type NetworkOptions, removeNetwork, startNetwork } from './network.js';
