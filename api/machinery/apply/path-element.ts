/**
 * One step of a field path, encoded as FieldsV1 writes it: `f:<field>`, `k:{"name":"web"}` for an element of a keyed list,
 * `v:"x"` for an element of a set, `i:0` for a position (kubernetes-sigs/structured-merge-diff fieldpath).
 */

export function fieldElement(name: string): string {
  let element = elements.get(name);
  if (element === undefined) {
    element = `f:${name}`;
    if (name.length <= LONGEST_NAME && elements.size < MOST_ELEMENTS) elements.set(name, element);
  }
  return element;
}

/** The same few names occur in object after object. */
const elements = new Map<string, string>();
const MOST_ELEMENTS = 8192;
const LONGEST_NAME = 64;

/** The element of a keyed list with these key values, names sorted. */
export function keyElement(keys: Readonly<Record<string, unknown>>): string {
  const sorted = Object.keys(keys).sort();
  return `k:{${sorted.map((name) => `${JSON.stringify(name)}:${JSON.stringify(keys[name])}`).join(',')}}`;
}

export const valueElement = (value: unknown): string => `v:${JSON.stringify(value)}`;

/** The canonical spelling of an element read from outside; undefined for one that is not understood. */
export function normalizeElement(text: string): string | undefined {
  const body = text.slice(2);
  switch (text.slice(0, 2)) {
    case 'f:':
      return text;
    case 'i:':
      return /^-?\d+$/.test(body) ? text : undefined;
    case 'v:':
      return normalizeJson(body, valueElement);
    case 'k:':
      return normalizeJson(body, (value) =>
        typeof value === 'object' && value !== null
          ? keyElement(value as Readonly<Record<string, unknown>>)
          : undefined,
      );
    default:
      return undefined;
  }
}

function normalizeJson(text: string, write: (value: unknown) => string | undefined): string | undefined {
  try {
    return write(JSON.parse(text));
  } catch {
    return undefined;
  }
}

const KIND_ORDER = 'fkvi';

/** The order in which FieldsV1 lists elements: fields, keys, values, positions, each by their text. */
export function compareElements(a: string, b: string): number {
  const kinds = KIND_ORDER.indexOf(a[0]!) - KIND_ORDER.indexOf(b[0]!);
  return kinds !== 0 ? kinds : a < b ? -1 : a > b ? 1 : 0;
}

/** The path as conflicts name it: `.spec.template.spec.containers[name="web"].image`. */
export function formatFieldsPath(path: readonly string[]): string {
  return path.map(formatElement).join('');
}

function formatElement(element: string): string {
  const body = element.slice(2);
  switch (element[0]) {
    case 'f':
      return `.${body}`;
    case 'k':
      return `[${Object.entries(JSON.parse(body) as Record<string, unknown>)
        .map(([name, value]) => `${name}=${JSON.stringify(value)}`)
        .join(',')}]`;
    case 'v':
      return `[=${body}]`;
    default:
      return `[${body}]`;
  }
}
