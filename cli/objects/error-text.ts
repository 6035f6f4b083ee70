import { type Status, type StatusCause, StatusError } from '@trimtab/machinery';

/** Says where in the user's files a field stands, as `file:line`; undefined where that is not known. */
export type Place = (field: string) => string | undefined;

const nowhere: Place = () => undefined;

/**
 * An error as people who know kubectl expect to read it: who refuses, why in one word, and what. Fields of a file are
 * followed by their place. Undefined for errors that are bugs of ours, which deserve a stack.
 */
export function errorText(error: unknown, place: Place = nowhere): string | undefined {
  if (error instanceof StatusError) return statusText(error.status, place);
  if (!(error instanceof Error)) return undefined;
  const spoken = SPOKEN.has(error.name) || 'syscall' in error;
  return spoken ? `error: ${error.message}` : undefined;
}

const SPOKEN = new Set(['CliError', 'YamlError', 'SelectorError', 'JsonPathError']);

function statusText(status: Status, place: Place): string {
  const { reason, message = 'unknown', details } = status;
  if (message.startsWith('cannot reach '))
    return `error: ${message}\nIs the cluster running? Start it with: trimtab up`;
  if (reason === 'Unauthorized') return `error: You must be logged in to the server (${message})`;
  if (reason === 'Invalid' && details?.kind) return invalidText(status, place);
  const conflicts = details?.causes?.some((cause) => cause.reason === 'FieldManagerConflict');
  if (reason === 'Conflict' && conflicts)
    return `error: ${message}\nLeave these fields out, or take them over with --force-conflicts.`;
  return `Error from server${reason ? ` (${reason})` : ''}: ${message}${placed(fieldIn(message), place)}`;
}

function invalidText({ details }: Status, place: Place): string {
  const { kind, group, name = '', causes = [] } = details!;
  const head = `The ${group ? `${kind}.${group}` : kind} "${name}" is invalid`;
  const lines = causes.map((cause) => `${causeText(cause)}${placed(cause.field, place)}`);
  if (lines.length === 0) return `${head}${placed('', place)}`;
  return lines.length === 1 ? `${head}: ${lines[0]}` : `${head}:\n${lines.map((line) => `* ${line}`).join('\n')}`;
}

const causeText = ({ field, message }: StatusCause): string => (field ? `${field}: ${message}` : (message ?? ''));

function placed(field: string | undefined, place: Place): string {
  const where = place(field ?? '');
  return where === undefined ? '' : ` (${where})`;
}

/** The first field a message speaks of: `unknown field "spec.foo"`, `.spec.foo: field not declared in schema`. */
function fieldIn(message: string): string | undefined {
  const undeclared = /(?:^|[\s:,])\.((?:[\w$/-]|\.|\[[^\]]*\])+): field not declared/.exec(message)?.[1];
  return undeclared ?? /(?:unknown|duplicate) field "([^"]+)"/.exec(message)?.[1];
}

/**
 * The steps of a field as the server writes it: `spec.containers[0].name`, `.spec.containers[name="web"].image`,
 * `metadata.labels[app]`. Elements named by a key are looked up in `value`.
 */
export function fieldSteps(field: string, value: unknown): readonly (string | number)[] {
  const steps: (string | number)[] = [];
  let here = value;
  for (const [, name, bracket] of field.matchAll(/([^.[\]]+)|\[([^\]]*)\]/g)) {
    const step = bracket === undefined ? name! : bracketStep(bracket, here);
    steps.push(step);
    here = (here as Record<string | number, unknown> | null | undefined)?.[step];
  }
  return steps;
}

function bracketStep(text: string, list: unknown): string | number {
  if (/^\d+$/.test(text)) return Number(text);
  const pairs = [...text.matchAll(/([\w-]+)=("(?:[^"\\]|\\.)*"|[^,]+)/g)];
  if (pairs.length === 0 || !Array.isArray(list)) return text.replace(/^"|"$/g, '');
  const at = list.findIndex((item: Record<string, unknown>) =>
    pairs.every(([, key, wanted]) => JSON.stringify(item?.[key!]) === wanted),
  );
  return at < 0 ? text : at;
}
