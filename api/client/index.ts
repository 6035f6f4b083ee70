export * from './client.js';
export * from './node-streams.js';
