export * from './clock.js';
export * from './generated/resources.js';
export type * from './generated/types.js';
export * from './log.js';
export * from './object.js';
export * from './schema/schema.js';
export * from './status.js';
