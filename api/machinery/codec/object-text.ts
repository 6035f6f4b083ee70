import type { FieldsV1 } from '../apply/field-set.js';
import { fieldsText, hasSharedText } from '../apply/fields-text.js';
import type { KubeObject, ManagedFieldsEntry, ObjectMeta } from '../object.js';
import { isRecord } from '../patch/structure.js';
import { RecentMap } from '../recent.js';

/** The JSON of an object, character for character what `JSON.stringify` gives; faster where fields are managed. */
export function objectText(object: KubeObject): string {
  return textOf(object, false);
}

/** The same without `apiVersion` and `kind`. */
export function untypedObjectText(object: KubeObject): string {
  return textOf(object, true);
}

function textOf(object: KubeObject, untyped: boolean): string {
  const fields = object as unknown as Readonly<Record<string, unknown>>;
  let text = '{';
  for (const name of Object.keys(fields)) {
    if (untyped && (name === 'apiVersion' || name === 'kind')) continue;
    const written = fieldText(name, fields[name]);
    if (written !== undefined) text += `${text.length > 1 ? ',' : ''}${quoted(name)}:${written}`;
  }
  return `${text}}`;
}

function fieldText(name: string, value: unknown): string | undefined {
  if (name === 'metadata' && hasSharedFields(value)) return metadataText(value);
  if (name === 'spec' && isRecord(value)) return specText(value);
  return JSON.stringify(value);
}

/** Pods of one template have the very same one, and a write to `/status` leaves it alone. */
function specText(spec: object): string {
  let text = specTexts.get(spec);
  if (text === undefined) {
    text = JSON.stringify(spec);
    if (text.length <= LONGEST_SPEC) specTexts.set(spec, text);
  }
  return text;
}

const specTexts = new RecentMap<object, string>(1024);
/** Longer ones are no pods', and a thousand of them too much to keep. */
const LONGEST_SPEC = 8192;

/** The names of an object's own fields are few, and always the same. */
function quoted(name: string): string {
  let text = names.get(name);
  if (text === undefined) {
    text = JSON.stringify(name);
    if (names.size < MOST_NAMES) names.set(name, text);
  }
  return text;
}

const names = new Map<string, string>();
const MOST_NAMES = 256;

/** What is managed and said of no other object is written faster with all the rest. */
function hasSharedFields(value: unknown): value is ObjectMeta {
  const entries = (value as ObjectMeta | undefined)?.managedFields;
  return Array.isArray(entries) && entries.some((entry) => isRecord(entry?.fieldsV1) && hasSharedText(entry.fieldsV1));
}

function metadataText(metadata: ObjectMeta): string {
  const { managedFields, ...rest } = metadata;
  const names = Object.keys(metadata);
  // Writing the rest in one go is only right where managed fields come last, which is where this server puts them.
  if (names.at(-1) !== 'managedFields') return JSON.stringify(metadata);
  const before = JSON.stringify(rest);
  const entries = managedFields!.map(entryText).join(',');
  return `${before.slice(0, -1)}${before.length > 2 ? ',' : ''}"managedFields":[${entries}]}`;
}

function entryText(entry: ManagedFieldsEntry): string {
  if (entry === null || typeof entry !== 'object') return JSON.stringify(entry) ?? 'null';
  let text = '{';
  for (const name of Object.keys(entry) as (keyof ManagedFieldsEntry)[]) {
    const value = entry[name];
    const written =
      name === 'fieldsV1' && typeof value === 'object' && value !== null && !Array.isArray(value)
        ? fieldsText(value as FieldsV1)
        : (JSON.stringify(value) as string | undefined);
    if (written !== undefined) text += `${text.length > 1 ? ',' : ''}${quoted(name)}:${written}`;
  }
  return `${text}}`;
}
