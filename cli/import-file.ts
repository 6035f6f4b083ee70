/**
 * Loads a module by its URL when it is needed, whatever is not known when this is built: operators from their source. A file of
 * its own, because the bundler turns every other `import()` into a part of the bundle.
 */
export const importFile = (url: string): Promise<unknown> => import(url);
