export { DefinitionController, type DefinitionControllerOptions } from './definition-controller.js';
export { definitionStrategy } from './definition-strategy.js';
export { type CustomKindSource, customKindSource } from './kind-source.js';
