import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);

/** Loads the YAML library when first needed: it costs more to load than all of this package. */
export function yamlLibrary(): typeof import('yaml') {
  return require('yaml') as typeof import('yaml');
}

/** Loads the protobuf reader and writer when first needed. */
export function protobufLibrary(): typeof import('protobufjs/minimal.js') {
  return require('protobufjs/minimal.js') as typeof import('protobufjs/minimal.js');
}
