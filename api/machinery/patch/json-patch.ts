import jsonPatch from 'fast-json-patch';
import { badRequest, tooLarge } from '../status.js';
import { unprocessablePatch } from './errors.js';
import { isRecord } from './structure.js';

/** JSON Patch (RFC 6902) as the API server takes it: bounded, and applied to a copy that shares all it does not touch. */

export type JsonPatchOperation =
  | { readonly op: 'add' | 'replace' | 'test'; readonly path: string; readonly value: unknown }
  | { readonly op: 'remove'; readonly path: string }
  | { readonly op: 'move' | 'copy'; readonly from: string; readonly path: string };

/** Kubernetes' limits: operations in one patch, and bytes that `copy` operations may add together. */
export const maxJsonPatchOperations = 10_000;
export const maxJsonPatchCopyBytes = 3 * 1024 * 1024;

/**
 * Checks a decoded request body.
 *
 * @throws StatusError 400 when it is no list of operations, 413 when it has too many.
 */
export function parseJsonPatch(body: unknown): readonly JsonPatchOperation[] {
  if (!Array.isArray(body)) throw badRequest('error decoding patch: a JSON patch must be a list of operations');
  if (body.length > maxJsonPatchOperations) {
    throw tooLarge(`The allowed maximum operations in a JSON patch is ${maxJsonPatchOperations}, got ${body.length}`);
  }
  body.forEach((operation: unknown, i) => {
    const fault = faultOf(operation);
    if (fault) throw badRequest(`error decoding patch: operation ${i}: ${fault}`);
  });
  return body as readonly JsonPatchOperation[];
}

function faultOf(operation: unknown): string | undefined {
  if (!isRecord(operation)) return 'must be an object';
  const { op, path, from } = operation;
  if (typeof path !== 'string' || (path !== '' && !path.startsWith('/'))) return 'path must be a JSON pointer';
  switch (op) {
    case 'remove':
      return undefined;
    case 'add':
    case 'replace':
    case 'test':
      return Object.hasOwn(operation, 'value') ? undefined : `${op} needs a value`;
    case 'move':
    case 'copy':
      if (typeof from !== 'string' || (from !== '' && !from.startsWith('/'))) return 'from must be a JSON pointer';
      return op === 'move' && path.startsWith(`${from}/`) ? 'a value cannot be moved into itself' : undefined;
    default:
      return `Unexpected kind: ${String(op)}`;
  }
}

/**
 * Applies operations in order, all or none. `document` stays untouched and the result shares with it every subtree that no
 * operation reached.
 *
 * @throws StatusError 422 naming the operation that does not apply.
 */
export function applyJsonPatch<T>(document: T, operations: readonly JsonPatchOperation[]): T {
  const copies = new WeakSet<object>();
  let copied = 0;
  let root: unknown = document;
  for (const operation of operations) {
    if (operation.op === 'copy' || operation.op === 'move') {
      const source = locate(root, operation.from, operation);
      if (!source.present) {
        throw unprocessablePatch(
          `${operation.op} operation does not apply: doc is missing from path: ${operation.from}: missing value`,
        );
      }
      if (operation.op === 'copy') copied += JSON.stringify(source.value)?.length ?? 0;
      if (copied > maxJsonPatchCopyBytes) {
        throw unprocessablePatch(
          `Unable to complete the copy, the accumulated size increase of copy is ${copied}, exceeding the limit ${maxJsonPatchCopyBytes}`,
        );
      }
      if (operation.op === 'move') root = ownPath(root, operation.from, copies);
    }
    const place = locate(root, operation.path, operation);
    check(place, operation);
    // What is replaced by itself (a revision that is expected) leaves all that is around it the very same, too.
    if (operation.op === 'replace' && place.present && place.value === operation.value) continue;
    if (operation.op !== 'test') root = ownPath(root, operation.path, copies);
    root = perform(root, operation);
  }
  return root as T;
}

function perform(root: unknown, operation: JsonPatchOperation): unknown {
  try {
    return jsonPatch.applyOperation(root, operation, false, true, true).newDocument;
  } catch (error) {
    if (error instanceof Error && error.name === 'TEST_OPERATION_FAILED') {
      throw unprocessablePatch(`testing value ${operation.path} failed: test failed`);
    }
    throw unprocessablePatch(
      `error in ${operation.op} for path: '${operation.path}': ${(error as Error).message.split('\n')[0]}`,
    );
  }
}

interface Place {
  readonly parent: unknown;
  readonly key: string;
  readonly value: unknown;
  readonly present: boolean;
}

const pointerSteps = (pointer: string): string[] =>
  pointer
    .split('/')
    .slice(1)
    .map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'));

const INDEX = /^(0|[1-9]\d*)$/;

function locate(root: unknown, pointer: string, operation: JsonPatchOperation): Place {
  let place: Place = { parent: undefined, key: '', value: root, present: true };
  for (const key of pointerSteps(pointer)) {
    const parent = place.value;
    if (typeof parent !== 'object' || parent === null) {
      throw unprocessablePatch(
        `${operation.op} operation does not apply: doc is missing path: "${pointer}": missing value`,
      );
    }
    const present = Array.isArray(parent) ? INDEX.test(key) && Number(key) < parent.length : Object.hasOwn(parent, key);
    place = { parent, key, present, value: present ? (parent as Record<string, unknown>)[key] : undefined };
  }
  return place;
}

function check({ parent, key, present }: Place, { op, path }: JsonPatchOperation): void {
  const adds = op === 'add' || op === 'copy' || op === 'move';
  if (Array.isArray(parent)) {
    const end = adds ? parent.length : parent.length - 1;
    const fits = (adds && key === '-') || (INDEX.test(key) && Number(key) <= end);
    if (!fits) {
      throw unprocessablePatch(
        `error in ${op} for path: '${path}': Unable to access invalid index: ${key}: invalid index referenced`,
      );
    }
    return;
  }
  if (present || adds) return;
  if (op === 'remove') {
    throw unprocessablePatch(
      `error in remove for path: '${path}': Unable to remove nonexistent key: ${key}: missing value`,
    );
  }
  if (op === 'replace') {
    throw unprocessablePatch(`replace operation does not apply: doc is missing key: ${path}: missing value`);
  }
  throw unprocessablePatch(`testing value ${path} failed: test failed`);
}

/** Makes every container on the way to `pointer` one of our own copies, so that it may be changed in place. */
function ownPath(root: unknown, pointer: string, copies: WeakSet<object>): unknown {
  const mine = (value: unknown): unknown => {
    if (typeof value !== 'object' || value === null || copies.has(value)) return value;
    const copy: object = Array.isArray(value) ? [...value] : { ...value };
    copies.add(copy);
    return copy;
  };
  const steps = pointerSteps(pointer);
  if (steps.length === 0) return root;
  const top = mine(root);
  let at = top as Record<string, unknown>;
  for (const step of steps.slice(0, -1)) {
    const child = mine(at[step]);
    at[step] = child;
    at = child as Record<string, unknown>;
  }
  return top;
}
