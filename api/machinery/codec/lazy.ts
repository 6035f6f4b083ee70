import { createRequire } from 'node:module';

// Written out at each place, and with `require` where there is one: so bundlers put what is loaded late into their bundles.

/** Loads the YAML library when first needed: it costs more to load than all of this package. */
export function yamlLibrary(): typeof import('yaml') {
  const library: unknown = typeof require === 'function' ? require('yaml') : createRequire(import.meta.url)('yaml');
  return library as typeof import('yaml');
}

/** Loads the protobuf reader and writer when first needed. */
export function protobufLibrary(): typeof import('protobufjs/minimal.js') {
  const library: unknown =
    typeof require === 'function'
      ? require('protobufjs/minimal.js')
      : createRequire(import.meta.url)('protobufjs/minimal.js');
  return library as typeof import('protobufjs/minimal.js');
}
