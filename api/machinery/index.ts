export * from './clock.js';
export * from './log.js';
export * from './object.js';
export * from './status.js';
