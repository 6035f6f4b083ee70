import { StatusError } from '../status.js';
import type { Manager } from './managers.js';
import { compareElements, formatFieldsPath } from './path-element.js';

/** A field that an apply would change and someone else owns. */
export interface Conflict {
  readonly manager: Manager;
  readonly path: readonly string[];
}

/** The 409 that names every conflict, in Kubernetes' words and as causes a client can read. */
export function applyConflict(found: readonly Conflict[]): StatusError {
  const conflicts = [...found].sort(
    (a, b) => compareText(managerText(a.manager), managerText(b.manager)) || comparePaths(a.path, b.path),
  );
  return new StatusError({
    code: 409,
    reason: 'Conflict',
    message: message(conflicts),
    details: {
      causes: conflicts.map(({ manager, path }) => ({
        reason: 'FieldManagerConflict',
        message: `conflict with ${managerText(manager)}`,
        field: formatFieldsPath(path),
      })),
    },
  });
}

function message(conflicts: readonly Conflict[]): string {
  const [first] = conflicts;
  if (conflicts.length === 1 && first) {
    return `Apply failed with 1 conflict: conflict with ${managerText(first.manager)}: ${formatFieldsPath(first.path)}`;
  }
  const lines: string[] = [];
  let current = '';
  for (const { manager, path } of conflicts) {
    const text = managerText(manager);
    if (text !== current) lines.push(`conflicts with ${text}:`);
    current = text;
    lines.push(`- ${formatFieldsPath(path)}`);
  }
  return `Apply failed with ${conflicts.length} conflicts: ${lines.join('\n')}`;
}

function managerText({ name, operation, apiVersion, subresource }: Manager): string {
  const where = subresource ? ` with subresource ${JSON.stringify(subresource)}` : '';
  return `${JSON.stringify(name)}${where}${operation === 'Update' ? ` using ${apiVersion}` : ''}`;
}

const compareText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

function comparePaths(a: readonly string[], b: readonly string[]): number {
  for (let i = 0; i < Math.min(a.length, b.length); i++) {
    const order = compareElements(a[i]!, b[i]!);
    if (order !== 0) return order;
  }
  return a.length - b.length;
}
