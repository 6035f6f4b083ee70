export { type ApplyContext, serverSideApply } from './apply/apply.js';
export { changedFields, compareObjects, ignoringFields } from './apply/compare.js';
export {
  decodeFieldSet,
  differenceSets,
  emptyFieldSet,
  encodeFieldSet,
  equalSets,
  type FieldSet,
  type FieldsV1,
  fieldSetOf,
  intersectSets,
  isEmptySet,
  pathsOf,
  unionSets,
} from './apply/field-set.js';
export { fieldsOf } from './apply/fields-of.js';
export { lastAppliedAnnotation } from './apply/last-applied.js';
export { managerFromUserAgent, withManagedFields } from './apply/managers.js';
export { mergeApplied, removeFields } from './apply/merge.js';
export type { WriteContext } from './apply/ownership.js';
export { formatFieldsPath } from './apply/path-element.js';
export { childSchema, itemElement, shapeOf } from './apply/shape.js';
export { ignoreManagedTimes, trackUpdate } from './apply/update.js';
export * from './cel/index.js';
export * from './clock.js';
export { duplicateFields } from './codec/duplicates.js';
export * from './codec/negotiate.js';
export { objectText, untypedObjectText } from './codec/object-text.js';
export * from './codec/protobuf.js';
export * from './codec/yaml.js';
export * from './fields/jsonpath.js';
export * from './fields/path.js';
export * from './generated/resources.js';
export type * from './generated/types.js';
export * from './log.js';
export * from './object.js';
export { encodeOpenapiV2 } from './openapi/gnostic.js';
export { definitionNameOf, type OpenApiResource } from './openapi/operations.js';
export { openapiV2 } from './openapi/v2.js';
export { type OpenApiOptions, openapiV3 } from './openapi/v3.js';
export * from './patch/diff.js';
export * from './patch/errors.js';
export * from './patch/json-patch.js';
export * from './patch/merge-patch.js';
export { applyStrategicMergePatch } from './patch/strategic.js';
export * from './patch/strategic-diff.js';
export { equalJson, shareStructure } from './patch/structure.js';
export {
  combine as combineAmounts,
  parse as parseAmounts,
  podAmounts,
  podRequests,
  type ResourceAmounts,
} from './quantity/pod-requests.js';
export * from './quantity/quantity.js';
export { RecentMap, remembering } from './recent.js';
export { decodeTyped } from './schema/decode.js';
export { decodeStructural, type StructuralOptions } from './schema/decode-structural.js';
export type { Decoded, DecodeError } from './schema/decode-walk.js';
export * from './schema/resource-info.js';
export { builtinResources, compareVersions } from './schema/resources.js';
export { canonicalBase64, canonicalTime } from './schema/scalars.js';
export * from './schema/schema.js';
export * from './schema/table.js';
export * from './selector/field-labels.js';
export * from './selector/fields.js';
export * from './selector/labels.js';
export * from './selector/node-affinity.js';
export * from './selector/requirement.js';
export * from './status.js';
export { correlated } from './structural/correlate.js';
export { validateValue } from './structural/validate-value.js';
export { humanDuration, sinceText } from './table/duration.js';
export { type PodSummary, summarizePod } from './table/pod.js';
export {
  type Table,
  type TableColumn,
  type TableOptions,
  type TableRow,
  tableColumns,
  toPartialMetadata,
  toTable,
} from './table/table.js';
