import type { JSONSchemaProps, Random } from '@trimtab/machinery';

/** What does not fit: the field's path and why; empty for a value that fits. CEL rules are the server's. */
export function misfits(props: JSONSchemaProps, value: unknown, at = ''): readonly string[] {
  const wrong = (why: string) => [`${at || 'value'}: ${why}`];
  if (value === undefined) return [];
  if (value === null) return props.nullable ? [] : wrong('must not be null');
  if (!isOfType(props, value)) return wrong(`must be of type ${props.type}`);
  if (props.enum && !props.enum.includes(value as never)) return wrong(`must be one of ${props.enum.join(', ')}`);
  if (typeof value === 'string') return textMisfits(props, value).flatMap(wrong);
  if (typeof value === 'number') return numberMisfits(props, value).flatMap(wrong);
  if (Array.isArray(value)) return listMisfits(props, value, at);
  return typeof value === 'object' ? objectMisfits(props, value as Readonly<Record<string, unknown>>, at) : [];
}

function isOfType({ type }: JSONSchemaProps, value: unknown): boolean {
  if (type === undefined) return true;
  if (type === 'integer') return Number.isInteger(value);
  if (type === 'array') return Array.isArray(value);
  if (type === 'object') return typeof value === 'object' && !Array.isArray(value);
  return typeof value === type;
}

function textMisfits({ minLength = 0, maxLength, pattern }: JSONSchemaProps, value: string): readonly string[] {
  const length = [...value].length;
  return [
    ...(length < minLength ? [`must have at least ${minLength} characters`] : []),
    ...(maxLength !== undefined && length > maxLength ? [`must have at most ${maxLength} characters`] : []),
    ...(pattern !== undefined && !new RegExp(pattern, 'u').test(value) ? [`must match ${pattern}`] : []),
  ];
}

function numberMisfits({ minimum, maximum, multipleOf }: JSONSchemaProps, value: number): readonly string[] {
  return [
    ...(minimum !== undefined && value < minimum ? [`must be at least ${minimum}`] : []),
    ...(maximum !== undefined && value > maximum ? [`must be at most ${maximum}`] : []),
    ...(multipleOf !== undefined && value % multipleOf !== 0 ? [`must be a multiple of ${multipleOf}`] : []),
  ];
}

function listMisfits(props: JSONSchemaProps, value: readonly unknown[], at: string): readonly string[] {
  const { minItems = 0, maxItems = Number.POSITIVE_INFINITY } = props;
  const items = props.items as JSONSchemaProps | undefined;
  return [
    ...(value.length < minItems ? [`${at}: must have at least ${minItems} items`] : []),
    ...(value.length > maxItems ? [`${at}: must have at most ${maxItems} items`] : []),
    ...(items ? value.flatMap((item, i) => misfits(items, item, `${at}[${i}]`)) : []),
  ];
}

function objectMisfits(
  props: JSONSchemaProps,
  value: Readonly<Record<string, unknown>>,
  at: string,
): readonly string[] {
  const below = (name: string) => (at === '' ? name : `${at}.${name}`);
  const values = props.additionalProperties as JSONSchemaProps | undefined;
  const missing = (props.required ?? []).filter((name) => {
    const defaults = props.properties?.[name]?.default !== undefined;
    return value[name] === undefined && !defaults;
  });
  return [
    ...missing.map((name) => `${below(name)}: is required`),
    ...Object.entries(value).flatMap(([name, field]) => {
      const known = props.properties?.[name] ?? (typeof values === 'object' ? values : undefined);
      if (known) return misfits(known, field, below(name));
      const open = props['x-kubernetes-preserve-unknown-fields'] === true || props.properties === undefined;
      return open ? [] : [`${below(name)}: is not known`];
    }),
  ];
}

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
      const least = props.minimum ?? 0;
      return between(least, props.maximum ?? least + 10);
    }
    case 'array': {
      const least = props.minItems ?? 0;
      const length = between(least, Math.min(props.maxItems ?? least + 3, least + 3));
      return Array.from({ length }, () => sample(props.items as JSONSchemaProps, random));
    }
    default: {
      const values = props.additionalProperties as JSONSchemaProps | undefined;
      const fields = Object.entries(props.properties ?? {}).flatMap(([name, field]) =>
        props.required?.includes(name) || random.next() < 0.5 ? [[name, sample(field, random)] as const] : [],
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
