import { evaluateJsonPath, type JsonPath, type KubeObject, parseJsonPath } from '@trimtab/machinery';
import { CliError } from '../errors.js';

/** What `wait` waits for. */
export type Awaited =
  | { readonly type: 'delete' }
  | { readonly type: 'create' }
  | { readonly type: 'condition'; readonly name: string; readonly value: string }
  | { readonly type: 'jsonpath'; readonly path: JsonPath; readonly value: string | undefined };

/**
 * Reads `condition=Ready`, `condition=Ready=False`, `jsonpath={.status.phase}=Running`, `delete` and `create`.
 *
 * @throws CliError, and JsonPathError for a path that is none.
 */
export function parseAwaited(text: string): Awaited {
  const [, kind = text, rest] = /^(condition|jsonpath)=(.+)$/s.exec(text) ?? [];
  if (rest === undefined) {
    const word = kind.toLowerCase();
    if (word === 'delete' || word === 'create') return { type: word };
    throw new CliError(
      `cannot wait for "${text}"; what can be waited for: condition=NAME[=VALUE], jsonpath={PATH}[=VALUE], delete, create`,
    );
  }
  if (kind === 'condition') {
    const [name = '', ...value] = rest.split('=');
    return { type: 'condition', name, value: value.length > 0 ? value.join('=') : 'True' };
  }
  const [, path = rest, value] = /^(\{.*\})(?:=(.*))?$/s.exec(rest) ?? [];
  return { type: 'jsonpath', path: parseJsonPath(path), value };
}

/** Whether an object, or its absence, is what is waited for. */
export function isMet(awaited: Awaited, object: KubeObject | undefined): boolean {
  switch (awaited.type) {
    case 'delete':
      return object === undefined;
    case 'create':
      return object !== undefined;
    case 'condition':
      return object !== undefined && hasCondition(object, awaited.name, awaited.value);
    case 'jsonpath':
      return object !== undefined && hasValue(object, awaited.path, awaited.value);
  }
}

interface Condition {
  readonly type?: string;
  readonly status?: string;
  readonly observedGeneration?: number;
}

/** A condition about an older spec does not count. Names and values are compared without regard to case. */
function hasCondition(object: KubeObject, name: string, value: string): boolean {
  const { status } = object as KubeObject & {
    readonly status?: { readonly observedGeneration?: number; readonly conditions?: readonly Condition[] };
  };
  const condition = status?.conditions?.find(({ type = '' }) => type.toLowerCase() === name.toLowerCase());
  if (condition?.status?.toLowerCase() !== value.toLowerCase()) return false;
  const seen = condition.observedGeneration ?? status?.observedGeneration;
  return seen === undefined || seen >= (object.metadata.generation ?? 0);
}

function hasValue(object: KubeObject, path: JsonPath, wanted: string | undefined): boolean {
  const values = evaluateJsonPath(path, object);
  if (wanted === undefined) return values.some((value) => value !== null && value !== '');
  return values.some((value) => (typeof value === 'object' ? JSON.stringify(value) : String(value)) === wanted);
}
