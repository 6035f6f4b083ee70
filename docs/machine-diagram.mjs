/**
 * Statecharts as Mermaid text, read from the machines themselves, so that a diagram cannot say what the code does not.
 */

const nameOf = (value) => (typeof value === 'string' ? value : (value?.type ?? 'inline'));
const idOf = (node) => (node.path.length === 0 ? 'root' : node.path.join('__'));
const actionsOf = (list) => (list ?? []).map(nameOf).filter((name) => !name.startsWith('xstate.'));

function guardOf(guard) {
  if (guard === undefined) return '';
  const inner = guard.guards ?? guard.params?.guards;
  if (Array.isArray(inner)) return inner.map(guardOf).join(' and ');
  return nameOf(guard);
}

function eventOf(type) {
  if (type === '') return '';
  const after = /^xstate\.after\.([^.]+)/.exec(type);
  if (after) return `after ${after[1]}`;
  return type.replace(/^xstate\.done\.state\..*$/, 'done');
}

function labelOf(transition) {
  const guard = guardOf(transition.guard);
  const actions = actionsOf(transition.actions);
  return [eventOf(transition.eventType), guard && `[${guard}]`, actions.length > 0 && `/ ${actions.join(', ')}`]
    .filter(Boolean)
    .join(' ');
}

function* transitionsOf(node) {
  yield* node.always ?? [];
  for (const list of node.transitions.values()) yield* list;
}

function linesOf(node, indent) {
  const pad = '  '.repeat(indent);
  const lines = [];
  const children = Object.values(node.states);
  for (const child of children) {
    const id = idOf(child);
    if (Object.keys(child.states).length > 0) {
      lines.push(`${pad}state "${child.key}" as ${id} {`, ...linesOf(child, indent + 1), `${pad}}`);
    } else lines.push(`${pad}state "${child.key}" as ${id}`);
    const entry = actionsOf(child.entry);
    if (entry.length > 0) lines.push(`${pad}${id} : ${entry.join(', ')}`);
    if (child.type === 'final') lines.push(`${pad}${id} --> [*]`);
  }
  if (node.type === 'compound' && node.initial?.target?.[0])
    lines.push(`${pad}[*] --> ${idOf(node.initial.target[0])}`);
  for (const child of children)
    for (const transition of transitionsOf(child))
      for (const target of transition.target ?? []) {
        const label = labelOf(transition);
        lines.push(`${pad}${idOf(child)} --> ${idOf(target)}${label ? ` : ${label}` : ''}`);
      }
  return lines;
}

/** One machine as a Mermaid `stateDiagram-v2`. */
export const diagramOf = (machine) => ['stateDiagram-v2', ...linesOf(machine.root, 1)].join('\n');

/** The page of all machines: `[{ id, file, machine }]`, in order of their files. */
export function pageOf(entries) {
  const parts = entries.map(
    ({ file, machine }) =>
      `## ${machine.id}\n\n[${file}](../${file})\n\n\`\`\`mermaid\n${diagramOf(machine)}\n\`\`\`\n`,
  );
  return `# The statecharts\n\nMade from the machines by \`npm run docs:machines\`; a test fails when they differ.\n\nA derived machine is entered anew at each evaluation: its \`always\` transitions choose the state by what is observed, and the\nstate's entry actions say what to do. What a state lists below its name are those actions.\n\n${parts.join('\n')}`;
}

/** The machines among a module's exports: machines, those of controller definitions, and those made for one value (`…Machine`). */
export function machinesOf(module) {
  const found = Object.entries(module).map(([name, value]) => {
    if (typeof value === 'function' && value.length === 1 && name.endsWith('Machine')) return value({});
    return value?.root?.states ? value : value?.machine;
  });
  return found.filter((machine) => machine?.root?.states);
}
