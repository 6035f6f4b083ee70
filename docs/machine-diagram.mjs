import { machineDiagram } from '@trimtab/framework';

/** The page of all machines: `[{ id, file, machine }]`, in order of their files. */
export function pageOf(entries) {
  const parts = entries.map(
    ({ file, machine }) =>
      `## ${machine.id}\n\n[${file}](../${file})\n\n\`\`\`mermaid\n${machineDiagram(machine)}\n\`\`\`\n`,
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
