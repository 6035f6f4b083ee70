import { causes, type FieldPath, type JSONSchemaProps, type StatusCause } from '@trimtab/machinery';
import { isSchema } from './rules.js';

const LIST_TYPES = ['atomic', 'map', 'set'];

/** What `x-kubernetes-list-type` asks of a list and of its elements (apiextensions validation). */
export function listRules(props: JSONSchemaProps, at: FieldPath, found: StatusCause[]): void {
  const listType = props['x-kubernetes-list-type'];
  const keys = props['x-kubernetes-list-map-keys'] ?? [];
  if (listType !== undefined) {
    if (props.type !== 'array')
      found.push(
        props.type
          ? causes.invalid(at.child('type'), props.type, 'must be array if x-kubernetes-list-type is specified')
          : causes.required(at.child('type'), 'must be array if x-kubernetes-list-type is specified'),
      );
    if (!LIST_TYPES.includes(listType))
      found.push(causes.notSupported(at.child('x-kubernetes-list-type'), listType, LIST_TYPES));
  }
  if (keys.length > 0 && listType !== 'map')
    found.push(
      listType === undefined
        ? causes.required(at.child('x-kubernetes-list-type'), 'must be map if x-kubernetes-list-map-keys is non-empty')
        : causes.invalid(
            at.child('x-kubernetes-list-type'),
            listType,
            'must be map if x-kubernetes-list-map-keys is non-empty',
          ),
    );
  const items = isSchema(props.items) ? props.items : undefined;
  if (listType === 'map') mapRules(keys, items, at, found);
  if (listType === 'set' && items !== undefined) setRules(items, at.child('items'), found);
}

function mapRules(
  keys: readonly string[],
  items: JSONSchemaProps | undefined,
  at: FieldPath,
  found: StatusCause[],
): void {
  const where = at.child('x-kubernetes-list-map-keys');
  if (keys.length === 0) found.push(causes.required(where, 'must not be empty if x-kubernetes-list-type is map'));
  if (items === undefined) {
    found.push(causes.required(at.child('items'), 'must have a schema if x-kubernetes-list-type is map'));
    return;
  }
  const below = at.child('items');
  if (items.type !== 'object')
    found.push(
      causes.invalid(
        below.child('type'),
        items.type ?? '',
        "must be object if parent array's x-kubernetes-list-type is map",
      ),
    );
  const seen = new Set<string>();
  keys.forEach((key, index) => {
    if (seen.has(key)) found.push(causes.duplicate(where.index(index), key));
    seen.add(key);
    const property = items.properties?.[key];
    const here = below.child('properties').key(key);
    if (property === undefined) {
      found.push(causes.invalid(where, keys, 'entries must all be names of item properties'));
      return;
    }
    if (property.type === 'array' || property.type === 'object')
      found.push(
        causes.invalid(
          here.child('type'),
          property.type,
          "must be a scalar type if parent array's x-kubernetes-list-type is map",
        ),
      );
    if (property.nullable)
      found.push(
        causes.forbidden(
          here.child('nullable'),
          "cannot be nullable if it is a key of the parent array's x-kubernetes-list-type map",
        ),
      );
    if (property.default === undefined && !items.required?.includes(key))
      found.push(
        causes.required(
          here.child('default'),
          'this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property',
        ),
      );
  });
}

/** Elements of sets are compared whole, so they must be atomic. */
function setRules(items: JSONSchemaProps, at: FieldPath, found: StatusCause[]): void {
  if (items.nullable)
    found.push(
      causes.forbidden(at.child('nullable'), "cannot be true if parent array's x-kubernetes-list-type is set"),
    );
  if (items.type === 'object' && items['x-kubernetes-map-type'] !== 'atomic')
    found.push(
      items['x-kubernetes-map-type'] === undefined
        ? causes.required(
            at.child('x-kubernetes-map-type'),
            'must be atomic as item of a list with x-kubernetes-list-type=set',
          )
        : causes.invalid(
            at.child('x-kubernetes-map-type'),
            items['x-kubernetes-map-type'],
            'must be atomic as item of a list with x-kubernetes-list-type=set',
          ),
    );
  if (items.type === 'array' && (items['x-kubernetes-list-type'] ?? 'atomic') !== 'atomic')
    found.push(
      causes.invalid(
        at.child('x-kubernetes-list-type'),
        items['x-kubernetes-list-type'],
        'must be atomic as item of a list with x-kubernetes-list-type=set',
      ),
    );
}
