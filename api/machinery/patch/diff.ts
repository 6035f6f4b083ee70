import type { JsonPatchOperation } from './json-patch.js';
import { equalJson, isRecord, own } from './structure.js';

/**
 * The JSON patch that makes `to` of `from`: no operation for what is equal, identical subtrees are not even looked at, and
 * lists are aligned so that an inserted or removed element costs one operation.
 */
export function createJsonPatch(from: unknown, to: unknown): readonly JsonPatchOperation[] {
  const operations: JsonPatchOperation[] = [];
  compare(from, to, '', operations);
  return operations;
}

const escapeStep = (step: string): string => step.replaceAll('~', '~0').replaceAll('/', '~1');

function compare(from: unknown, to: unknown, path: string, out: JsonPatchOperation[]): void {
  if (from === to) return;
  if (isRecord(from) && isRecord(to)) {
    for (const key of Object.keys(from)) {
      if (from[key] !== undefined && own(to, key) === undefined)
        out.push({ op: 'remove', path: `${path}/${escapeStep(key)}` });
    }
    for (const [key, value] of Object.entries(to)) {
      const before = own(from, key);
      if (value === undefined) continue;
      if (before === undefined) out.push({ op: 'add', path: `${path}/${escapeStep(key)}`, value });
      else compare(before, value, `${path}/${escapeStep(key)}`, out);
    }
  } else if (Array.isArray(from) && Array.isArray(to)) {
    compareLists(from, to, path, out);
  } else if (!equalJson(from, to)) {
    out.push({ op: 'replace', path, value: to });
  }
}

/** Lists whose differing middles are larger than this are compared place by place: alignment is quadratic. */
const MAX_ALIGNED = 256;

function compareLists(from: readonly unknown[], to: readonly unknown[], path: string, out: JsonPatchOperation[]): void {
  let start = 0;
  while (start < from.length && start < to.length && equalJson(from[start], to[start])) start++;
  let end = 0;
  while (
    end < from.length - start &&
    end < to.length - start &&
    equalJson(from[from.length - 1 - end], to[to.length - 1 - end])
  ) {
    end++;
  }
  const before = from.slice(start, from.length - end);
  const after = to.slice(start, to.length - end);
  const anchors =
    before.length > MAX_ALIGNED || after.length > MAX_ALIGNED ? [] : longestCommonSubsequence(before, after);

  // Walks the gaps between elements that stay: pairs are compared in place, the rest is removed or added.
  let position = start;
  let b = 0;
  let a = 0;
  for (const [nextB, nextA] of [...anchors, [before.length, after.length] as const]) {
    while (b < nextB && a < nextA) compare(before[b++], after[a++], `${path}/${position++}`, out);
    for (; b < nextB; b++) out.push({ op: 'remove', path: `${path}/${position}` });
    for (; a < nextA; a++) out.push({ op: 'add', path: `${path}/${position++}`, value: after[a] });
    b++;
    a++;
    position++;
  }
}

function longestCommonSubsequence(
  a: readonly unknown[],
  b: readonly unknown[],
): readonly (readonly [number, number])[] {
  const width = b.length + 1;
  const lengths = new Uint16Array((a.length + 1) * width);
  const equal = (i: number, j: number): boolean => equalJson(a[i], b[j]);
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      lengths[i * width + j] = equal(i, j)
        ? lengths[(i + 1) * width + j + 1]! + 1
        : Math.max(lengths[(i + 1) * width + j]!, lengths[i * width + j + 1]!);
    }
  }
  const pairs: [number, number][] = [];
  for (let i = 0, j = 0; i < a.length && j < b.length; ) {
    if (equal(i, j)) pairs.push([i++, j++]);
    else if (lengths[(i + 1) * width + j]! >= lengths[i * width + j + 1]!) i++;
    else j++;
  }
  return pairs;
}
