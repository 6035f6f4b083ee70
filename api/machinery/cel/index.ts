/**
 * The Common Expression Language as Kubernetes speaks it. Exported by the package's one index; nothing is built before the
 * first expression is compiled. `compileCel` types an expression against its variables, prices it, and gives a program.
 */
export { escapeField, unescapeField } from './escape.js';
export { fromJson as celFromJson, toJson as celToJson } from './json.js';
export { AuthorizerValue, type CelAccess, type CelAuthorizer, resourceCheck } from './library/authorizer.js';
export * from './program.js';
export { leastBytes, MAX_REQUEST_BYTES, schemaType } from './schema-type.js';
export { type CelType, formatType, maxSize, type ObjectType } from './types.js';
export { CelError, CelList, CelMap, CelOptional, CelUint, type CelValue } from './values.js';
