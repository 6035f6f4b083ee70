import { causes, type FieldPath, type JSONSchemaProps, type StatusCause } from '@trimtab/machinery';
import { isSchema } from './rules.js';

const EMPTY = 'must be empty to be structural';
const UNDEFINED = 'must be undefined to be structural';
const SHAPES = [
  'x-kubernetes-preserve-unknown-fields',
  'x-kubernetes-embedded-resource',
  'x-kubernetes-int-or-string',
  'x-kubernetes-list-map-keys',
  'x-kubernetes-list-type',
  'x-kubernetes-map-type',
  'x-kubernetes-validations',
] as const;

/**
 * Inside `allOf`, `anyOf`, `oneOf` and `not` only constraints may stand: what shapes a value must be outside, and every field
 * and list named inside must be there outside too.
 */
export function combined(props: JSONSchemaProps, at: FieldPath, found: StatusCause[]): void {
  for (const [inner, where] of branches(props, at)) {
    constraint(inner, where, found, isIntOrString(props, inner));
    complete(inner, where, props, at, found);
  }
}

function branches(props: JSONSchemaProps, at: FieldPath): readonly (readonly [JSONSchemaProps, FieldPath])[] {
  return [
    ...(['allOf', 'anyOf', 'oneOf'] as const).flatMap((key) =>
      (props[key] ?? []).map((inner, index) => [inner, at.child(key).index(index)] as const),
    ),
    ...(props.not ? [[props.not, at.child('not')] as const] : []),
  ];
}

/** Integers or strings may say so in the usual JSON schema way: `anyOf` of the two types, also inside an `allOf`. */
function isIntOrString(props: JSONSchemaProps, inner: JSONSchemaProps): boolean {
  if (!props['x-kubernetes-int-or-string']) return false;
  const isPair = (list: readonly JSONSchemaProps[] | undefined): boolean =>
    list?.length === 2 && list[0]?.type === 'integer' && list[1]?.type === 'string';
  return (isPair(props.anyOf) && props.anyOf!.includes(inner)) || isPair(inner.anyOf) || inner.type === undefined;
}

function constraint(props: JSONSchemaProps, at: FieldPath, found: StatusCause[], typed = false): void {
  if (props.type && !typed) found.push(causes.forbidden(at.child('type'), EMPTY));
  if (props.description) found.push(causes.forbidden(at.child('description'), EMPTY));
  if (props.title) found.push(causes.forbidden(at.child('title'), EMPTY));
  if (props.default !== undefined) found.push(causes.forbidden(at.child('default'), UNDEFINED));
  if (props.additionalProperties !== undefined)
    found.push(causes.forbidden(at.child('additionalProperties'), UNDEFINED));
  if (props.nullable) found.push(causes.forbidden(at.child('nullable'), 'must be false to be structural'));
  for (const field of SHAPES)
    if (props[field])
      found.push(
        causes.forbidden(at.child(field), Array.isArray(props[field]) ? EMPTY : 'must be false to be structural'),
      );
  for (const [name, child] of Object.entries(props.properties ?? {}))
    constraint(child, at.child('properties').key(name), found);
  if (isSchema(props.items)) constraint(props.items, at.child('items'), found);
  const pair = typed && props.anyOf?.length === 2;
  for (const [inner, where] of branches(props, at))
    constraint(inner, where, found, pair && where.toString().includes('anyOf'));
}

function complete(
  inner: JSONSchemaProps,
  innerAt: FieldPath,
  outer: JSONSchemaProps | undefined,
  outerAt: FieldPath,
  found: StatusCause[],
): void {
  const because = `because it is defined in ${innerAt}`;
  for (const [name, child] of Object.entries(inner.properties ?? {})) {
    const here = innerAt.child('properties').key(name);
    const known = outer?.properties?.[name];
    if (known === undefined && !isSchema(outer?.additionalProperties))
      found.push(causes.required(outerAt.child('properties').key(name), `${because}.properties[${name}]`));
    else
      complete(
        child,
        here,
        known ?? (outer?.additionalProperties as JSONSchemaProps),
        outerAt.child('properties').key(name),
        found,
      );
  }
  if (isSchema(inner.items)) {
    if (!isSchema(outer?.items)) found.push(causes.required(outerAt.child('items'), `${because}.items`));
    else complete(inner.items, innerAt.child('items'), outer.items, outerAt.child('items'), found);
  }
  for (const [nested, where] of branches(inner, innerAt)) complete(nested, where, outer, outerAt, found);
}
