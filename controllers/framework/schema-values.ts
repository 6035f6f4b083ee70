import { FieldPath, type JSONSchemaProps, type Random, validateValue } from '@trimtab/machinery';

/**
 * What does not fit, a line each with the field's path: what the server would say, and fields it does not know. CEL rules are
 * the server's alone.
 */
export function misfits(props: JSONSchemaProps, value: unknown, at = 'value'): readonly string[] {
  if (value === undefined) return [];
  const path = new FieldPath(at);
  return [
    ...validateValue(props, value, path).map(({ field, message }) => `${field}: ${message}`),
    ...unknown(props, value, path).map((field) => `${field}: is not known`),
  ];
}

/** The server would drop them. */
function unknown(props: JSONSchemaProps, value: unknown, at: FieldPath): readonly FieldPath[] {
  if (Array.isArray(value))
    return value.flatMap((item, i) => (isSchema(props.items) ? unknown(props.items, item, at.index(i)) : []));
  if (typeof value !== 'object' || value === null) return [];
  const { properties, additionalProperties } = props;
  const open = props['x-kubernetes-preserve-unknown-fields'] === true || properties === undefined;
  return Object.entries(value).flatMap(([name, field]) => {
    if (properties && Object.hasOwn(properties, name)) return unknown(properties[name]!, field, at.child(name));
    if (isSchema(additionalProperties)) return unknown(additionalProperties, field, at.key(name));
    return open ? [] : [at.child(name)];
  });
}

const isSchema = (value: unknown): value is JSONSchemaProps => typeof value === 'object' && value !== null;

const LETTERS = 'abcdefghijklmnopqrstuvwxyz';

/** A value that fits, at random, edges first: least and most come often. Throws for a pattern it cannot hit. */
export function sample(props: JSONSchemaProps, random: Random): unknown {
  const pick = <V>(values: readonly V[]): V => values[Math.floor(random.next() * values.length)]!;
  const between = (least: number, most: number) =>
    pick([least, most, Math.round(least + random.next() * (most - least))]);
  if (props.enum) return pick(props.enum);
  switch (props.type) {
    case 'string':
      return text(props, random, between);
    case 'boolean':
      return random.next() < 0.5;
    case 'integer':
    case 'number': {
      const unit = props.multipleOf ?? 1;
      const least = Math.ceil((props.minimum ?? 0) / unit);
      return between(least, props.maximum === undefined ? least + 10 : Math.floor(props.maximum / unit)) * unit;
    }
    case 'array': {
      const least = props.minItems ?? 0;
      const length = between(least, Math.min(props.maxItems ?? least + 3, least + 3));
      return Array.from({ length }, () => sample(props.items as JSONSchemaProps, random));
    }
    default: {
      const values = props.additionalProperties as JSONSchemaProps | undefined;
      const fields = Object.entries(props.properties ?? {}).flatMap(([name, field]) =>
        props.required?.includes(name) || field.default !== undefined || random.next() < 0.5
          ? [[name, sample(field, random)] as const]
          : [],
      );
      const more = typeof values === 'object' ? [[word(random, 3), sample(values, random)] as const] : [];
      return Object.fromEntries([...fields, ...more]);
    }
  }
}

const word = (random: Random, length: number): string =>
  Array.from({ length }, () => LETTERS[Math.floor(random.next() * LETTERS.length)]).join('');

function text(props: JSONSchemaProps, random: Random, between: (least: number, most: number) => number): string {
  const { minLength = 0, maxLength, pattern, format } = props;
  if (format === 'date-time') return new Date(Math.floor(random.next() * 2e12)).toISOString();
  for (let attempt = 0; attempt < 200; attempt++) {
    const value = word(random, between(Math.max(minLength, 1), Math.min(maxLength ?? minLength + 8, minLength + 16)));
    const tries = [value, `${value}.example`, `${value.length}`, `${value}/${value}`, '*/5 * * * *'];
    const fits = tries.find((each) => misfits({ ...props, format: undefined } as JSONSchemaProps, each).length === 0);
    if (fits !== undefined) return fits;
  }
  throw new Error(`no text found that matches ${pattern}; give the field an enum, or make samples by hand`);
}
