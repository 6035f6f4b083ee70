import type { KubeObject } from '../object.js';
import { compareObjects } from './compare.js';
import { differenceSets, type FieldSet } from './field-set.js';
import { fieldsOf } from './fields-of.js';
import type { WriteContext } from './ownership.js';

/** Going over from kubectl's client-side apply, which keeps its last configuration in an annotation, to server-side apply. */

export const lastAppliedAnnotation = 'kubectl.kubernetes.io/last-applied-configuration';

/** Only kubectl's own server-side apply takes over what kubectl's client-side apply set. */
export const migratingManager = 'kubectl';

const lastAppliedOf = (object: KubeObject): string | undefined =>
  object.metadata?.annotations?.[lastAppliedAnnotation] || undefined;

/**
 * The fields that the last client-side apply set and that still have that value: those may be taken over without conflict.
 * Undefined when the annotation is absent, unreadable or of another version.
 */
export function allowedByLastApplied(live: KubeObject, context: WriteContext): FieldSet | undefined {
  const last = parse(lastAppliedOf(live));
  if (!last || last.apiVersion !== context.apiVersion) return undefined;
  const { added, modified, removed } = compareObjects(last, live, context.schema);
  return [modified, added, removed].reduce(differenceSets, fieldsOf(last, context.schema));
}

function parse(text: string | undefined): KubeObject | undefined {
  try {
    const value: unknown = text === undefined ? undefined : JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as KubeObject) : undefined;
  } catch {
    return undefined;
  }
}

/** Keeps the annotation in step with what was applied, so that client-side apply can be gone back to. */
export function refreshLastApplied(object: KubeObject, config: KubeObject): KubeObject {
  if (lastAppliedOf(object) === undefined) return object;
  const { [lastAppliedAnnotation]: _, ...annotations } = config.metadata?.annotations ?? {};
  const metadata = { ...config.metadata, annotations: Object.keys(annotations).length > 0 ? annotations : undefined };
  const text = `${JSON.stringify({ ...config, metadata })}\n`;
  return {
    ...object,
    metadata: { ...object.metadata, annotations: { ...object.metadata.annotations, [lastAppliedAnnotation]: text } },
  };
}
