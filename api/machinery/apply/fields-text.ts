import { type FieldsV1, isSharedFields } from './field-set.js';

/** Below this depth what is not shared is written in one go. */
const DEPTH = 3;
const texts = new WeakMap<FieldsV1, string>();

/** Whether {@link fieldsText} finds anything that is shared. */
export function hasSharedText(fields: FieldsV1, depth = DEPTH): boolean {
  if (isSharedFields(fields)) return true;
  if (depth === 0) return false;
  for (const element of Object.keys(fields)) {
    const below = fields[element];
    if (typeof below === 'object' && below !== null && hasSharedText(below, depth - 1)) return true;
  }
  return false;
}

/**
 * The JSON of FieldsV1, as `JSON.stringify` writes it. Objects made alike share most of theirs (see {@link isSharedFields}),
 * which is then written once and not for each of them: it is two fifths of a pod.
 */
export function fieldsText(fields: FieldsV1, depth = DEPTH): string {
  if (isSharedFields(fields)) return sharedText(fields);
  let text = '{';
  for (const element of Object.keys(fields)) {
    const below = fields[element]!;
    const value =
      (depth > 0 || isSharedFields(below)) && typeof below === 'object' && below !== null && !Array.isArray(below)
        ? fieldsText(below, depth - 1)
        : JSON.stringify(below);
    if (value !== undefined) text += `${text.length > 1 ? ',' : ''}${JSON.stringify(element)}:${value}`;
  }
  return `${text}}`;
}

function sharedText(fields: FieldsV1): string {
  let text = texts.get(fields);
  if (text === undefined) {
    text = JSON.stringify(fields);
    texts.set(fields, text);
  }
  return text;
}
