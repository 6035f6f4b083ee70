import type { PodTemplateSpec } from '@trimtab/machinery';

export const TEMPLATE_HASH_LABEL = 'pod-template-hash';

/**
 * A short name for a pod template, in Kubernetes' shape: FNV-1a over its canonical text and the count of collisions so far,
 * spelt without vowels. The value is our own; nothing but equality depends on it.
 */
export function templateHash(template: PodTemplateSpec, collisions: number): string {
  let hash = 0x811c9dc5;
  const bytes = new TextEncoder().encode(`${canonical(template)}#${collisions}`);
  for (const byte of bytes) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return spell(String(hash));
}

/** Equal but for the label that carries the hash. */
export const sameTemplate = (a: PodTemplateSpec | undefined, b: PodTemplateSpec | undefined): boolean =>
  textOf(a ?? NONE) === textOf(b ?? NONE);

const NONE: PodTemplateSpec = {};
/** Templates do not change, and are compared at every look at a Deployment. */
const texts = new WeakMap<PodTemplateSpec, string>();

function textOf(template: PodTemplateSpec): string {
  const known = texts.get(template);
  if (known !== undefined) return known;
  const text = canonical(withoutHash(template));
  texts.set(template, text);
  return text;
}

function withoutHash(template: PodTemplateSpec): PodTemplateSpec {
  const { [TEMPLATE_HASH_LABEL]: _, ...labels } = template.metadata?.labels ?? {};
  return { ...template, metadata: { ...template.metadata, labels } };
}

const ALPHABET = 'bcdfghjklmnpqrstvwxz2456789';
const spell = (text: string): string =>
  [...text].map((letter) => ALPHABET[letter.charCodeAt(0) % ALPHABET.length]).join('');

/** JSON with sorted keys; what is null or absent is the same, as in Go. */
function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (value === null || typeof value !== 'object') return JSON.stringify(value) ?? 'null';
  const fields = Object.entries(value as Record<string, unknown>)
    .filter(([, field]) => field !== null && field !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${fields.map(([name, field]) => `${JSON.stringify(name)}:${canonical(field)}`).join(',')}}`;
}
