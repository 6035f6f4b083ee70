/**
 * Go's view of template data. Integers of Go are BigInt here, floats are numbers (values files give floats, as in Helm),
 * maps are plain objects, slices are arrays.
 */

export type GoMap = Readonly<Record<string, unknown>>;

export const isMap = (value: unknown): value is GoMap =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** text/template's truth: false, 0, "", nil and empty collections are false. */
export function truth(value: unknown): boolean {
  if (value === undefined || value === null) return false;
  if (Array.isArray(value)) return value.length > 0;
  if (isMap(value)) return Object.keys(value).length > 0;
  return Boolean(value);
}

/** fmt's %v. */
export function format(value: unknown): string {
  if (value === undefined || value === null) return '<nil>';
  if (typeof value === 'number') return formatFloat(value);
  if (Array.isArray(value)) return `[${value.map(format).join(' ')}]`;
  if (isMap(value))
    return `map[${Object.keys(value)
      .sort()
      .map((key) => `${key}:${format(value[key])}`)
      .join(' ')}]`;
  return String(value);
}

/** strconv's shortest 'g' form: an exponent below -4 or from 6 on, which is why Helm prints a million as 1e+06. */
function formatFloat(value: number): string {
  if (Number.isNaN(value)) return 'NaN';
  if (!Number.isFinite(value)) return value > 0 ? '+Inf' : '-Inf';
  const [mantissa = '', exponent = '0'] = value.toExponential().split('e');
  const power = Number(exponent);
  if (value === 0 || (power >= -4 && power < 6)) return String(value);
  return `${mantissa}e${power < 0 ? '-' : '+'}${String(Math.abs(power)).padStart(2, '0')}`;
}

/** What a value becomes in JSON and YAML output. */
export function toJson(value: unknown): unknown {
  if (typeof value === 'bigint') return Number(value);
  if (Array.isArray(value)) return value.map(toJson);
  if (isMap(value))
    return Object.fromEntries(
      Object.keys(value)
        .sort()
        .map((key) => [key, toJson(value[key])]),
    );
  return value ?? null;
}

/** reflect.DeepEqual with numbers compared by value, as sprig and `eq` users expect. */
export function equal(a: unknown, b: unknown): boolean {
  if ((typeof a === 'number' || typeof a === 'bigint') && (typeof b === 'number' || typeof b === 'bigint'))
    return Number(a) === Number(b);
  if (a === null || a === undefined) return b === null || b === undefined;
  return typeof a === 'object' || typeof b === 'object'
    ? JSON.stringify(toJson(a)) === JSON.stringify(toJson(b))
    : a === b;
}
