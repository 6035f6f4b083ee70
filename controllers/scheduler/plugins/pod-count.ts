import { normalizeByLargest, type Plugin } from './plugin.js';

/** Prefers the node with the fewest pods, whatever they ask for. */
export const podCount: Plugin = {
  name: 'PodCount',
  prepareScore: () => ({ of: ({ podCount: pods }) => pods, normalize: normalizeByLargest(true) }),
};
