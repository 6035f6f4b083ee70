export * from './images/image-store.js';
export * from './node/pod-network.js';
export * from './runtime/oci.js';
export * from './runtime/runtime.js';
export { assembleImage, type ImageRecipe, resolveRecipe } from './images/assemble.js';
export { directoryImageStore } from './images/directory-store.js';
