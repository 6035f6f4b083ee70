export * from './chart.js';
export { TemplateError } from './template/errors.js';
export type { GoMap } from './template/go-values.js';
