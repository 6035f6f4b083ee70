import type { AnyStateMachine, AnyStateNode, AnyTransitionDefinition } from 'xstate';

/**
 * A statechart as a Mermaid `stateDiagram-v2`, read from the machine itself, so that a diagram cannot say what the code does
 * not. With `current` (a state as `waiting` or `running.starting`; of parallel states several) that state stands out.
 */
export function machineDiagram(machine: AnyStateMachine, current: readonly string[] = []): string {
  const lines = ['stateDiagram-v2', ...linesOf(machine.root, 1)];
  if (current.length === 0) return lines.join('\n');
  const ids = current.map((path) => path.replaceAll('.', '__'));
  return [...lines, '  classDef current stroke-width:4px,font-weight:bold', `  class ${ids.join(',')} current`].join(
    '\n',
  );
}

const nameOf = (value: unknown): string =>
  typeof value === 'string' ? value : ((value as { readonly type?: string } | undefined)?.type ?? 'inline');
const idOf = (node: AnyStateNode): string => (node.path.length === 0 ? 'root' : node.path.join('__'));
const actionsOf = (list: readonly unknown[] | undefined): readonly string[] =>
  (list ?? []).map(nameOf).filter((name) => !name.startsWith('xstate.'));

/** `and`, `or` and `not` of xstate say what they are made of. */
interface Guards {
  readonly guards?: readonly unknown[];
  readonly params?: { readonly guards?: readonly unknown[] };
}

function guardOf(guard: unknown): string {
  if (guard === undefined) return '';
  const inner = (guard as Guards).guards ?? (guard as Guards).params?.guards;
  return Array.isArray(inner) ? inner.map(guardOf).join(' and ') : nameOf(guard);
}

function eventOf(type: string): string {
  const after = /^xstate\.after\.([^.]+)/.exec(type);
  return after ? `after ${after[1]}` : type.replace(/^xstate\.done\.state\..*$/, 'done');
}

function labelOf({ guard, actions, eventType }: AnyTransitionDefinition): string {
  const [condition, done] = [guardOf(guard), actionsOf(actions)];
  return [eventOf(eventType), condition && `[${condition}]`, done.length > 0 && `/ ${done.join(', ')}`]
    .filter(Boolean)
    .join(' ');
}

function linesOf(node: AnyStateNode, indent: number): readonly string[] {
  const pad = '  '.repeat(indent);
  const lines: string[] = [];
  const children = Object.values(node.states) as readonly AnyStateNode[];
  for (const child of children) {
    const id = idOf(child);
    if (Object.keys(child.states).length > 0)
      lines.push(`${pad}state "${child.key}" as ${id} {`, ...linesOf(child, indent + 1), `${pad}}`);
    else lines.push(`${pad}state "${child.key}" as ${id}`);
    const entry = actionsOf(child.entry);
    if (entry.length > 0) lines.push(`${pad}${id} : ${entry.join(', ')}`);
    if (child.type === 'final') lines.push(`${pad}${id} --> [*]`);
  }
  const [first] = node.type === 'compound' ? (node.initial?.target ?? []) : [];
  if (first) lines.push(`${pad}[*] --> ${idOf(first)}`);
  for (const child of children)
    for (const transition of [...(child.always ?? []), ...[...child.transitions.values()].flat()])
      for (const target of transition.target ?? []) {
        const label = labelOf(transition);
        lines.push(`${pad}${idOf(child)} --> ${idOf(target)}${label ? ` : ${label}` : ''}`);
      }
  return lines;
}
