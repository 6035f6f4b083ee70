export * as backup from './backup/backup.js';
export * as catset from './catset/catset.js';
export * as website from './website/website.js';
