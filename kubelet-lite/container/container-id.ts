const SCHEME = 'trimtab://';

/** Container ids carry the runtime's scheme in the API. */
export const containerIdOf = (id: string): string => (id.includes('://') ? id : `${SCHEME}${id}`);

/** The runtime's own id of a container that the API names. */
export const runtimeIdOf = (id: string): string => (id.startsWith(SCHEME) ? id.slice(SCHEME.length) : id);
