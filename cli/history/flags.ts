import type { Command } from 'commander';

/** The command line of history and branches; what it does is loaded when it runs. */

/** A command that talks to a cluster. */
export type Talking = (parent: Command, usage: string, description: string) => Command;

type Examples = (...lines: readonly (readonly [string, string])[]) => string;

/** Options of reads that may be of the past. */
export const readsPast = (command: Command, count: (text: string) => number): Command =>
  command
    .option('--at <time>', 'as of a time: 10:32, 5m (ago) or 2026-11-21T10:32:00Z')
    .option('--revision <n>', 'as of a revision', count);

export function historyCommands(
  root: Command,
  talking: Talking,
  examples: Examples,
  count: (text: string) => number,
): void {
  const lazily = () => import('../commands/history.js');
  talking(root, 'diff', 'show what changed between two moments, object by object; exit code 1 when something did')
    .addHelpText(
      'before',
      examples(
        ['trimtab diff --from 10:32', 'what has changed since'],
        ['trimtab diff --from 10m --to 5m deployments', 'what changed of deployments in those five minutes'],
        ['trimtab diff --from 48213 deployment/web -o json', 'since a revision, for programs'],
      ),
    )
    .argument('[resource...]', 'kind or kind/name (default: everything but events and leases)')
    .requiredOption('--from <instant>', 'a time (10:32, 5m, 2026-11-21T10:32:00Z) or a revision')
    .option('--to <instant>', 'the same (default: now)')
    .option('-o, --output <format>', 'json')
    .action(async (words, options) => (await lazily()).diff(words, options));
  talking(root, 'undo', 'take back the last command that wrote, as one change or not at all')
    .addHelpText(
      'before',
      examples(
        ['trimtab undo --dry-run', 'show what taking back the last apply would change'],
        ['trimtab undo', 'do it; once more takes the undo back'],
        ['trimtab undo deployment/web', 'the last change to one object'],
        ['trimtab undo --manager helm', 'the last of a field manager'],
        ['trimtab undo --from 48213 --to 48300', 'everything written after one revision up to another'],
      ),
    )
    .argument('[resource...]', 'kind or kind/name (default: whatever was written)')
    .option('--manager <name>', 'field manager whose writes are taken back (default: kubectl, trimtab or helm)')
    .option('--from <instant>', 'everything written after this time or revision')
    .option('--to <instant>', 'and up to this one (default: now)')
    .option('--dry-run', 'show it only')
    .option('-o, --output <format>', 'json')
    .action(async (words, options) => (await lazily()).undo(words, options));
  branches(root, talking, examples, count, lazily);
}

function branches(
  root: Command,
  talking: Talking,
  examples: Examples,
  count: (text: string) => number,
  lazily: () => Promise<typeof import('../commands/history.js')>,
): void {
  const parent = root
    .command('branch')
    .description("copies of the cluster's state to try things on, with controllers and simulated nodes of their own")
    .addHelpText(
      'before',
      examples(
        ['trimtab branch create x', 'make one, and say which kubectl context is its'],
        ['kubectl --context branch-x apply -f app.yaml', 'try something there'],
        ['trimtab branch diff x', 'what a merge would bring'],
        ['trimtab branch diff x --all', 'and what controllers made of it'],
        ['trimtab branch merge x', 'bring it home as one change, or say what is in the way'],
        ['trimtab branch reset x', 'begin anew from the present'],
        ['trimtab branch delete x', 'leave nothing'],
      ),
    );
  const named = (usage: string, description: string) => talking(parent, usage, description).argument('<name>');
  readsPast(named('create', 'make a branch of the present state'), count).action(async (name, options) =>
    (await lazily()).branch.create(name, options),
  );
  talking(parent, 'list', 'show the branches there are').action(async (options) =>
    (await lazily()).branch.list(options),
  );
  named('diff', 'show what was written on a branch, as a merge would bring it')
    .argument('[resource...]', 'with --all: kind or kind/name')
    .option('--all', 'everything that differs from where it began, what controllers did too')
    .option('-o, --output <format>', 'json')
    .action(async (name, words, options) => (await lazily()).branch.diff(name, words, options));
  named('merge', 'bring what was written on a branch to the cluster, as one change or not at all')
    .option('--dry-run', 'show it only')
    .option('-o, --output <format>', 'json')
    .action(async (name, options) => (await lazily()).branch.merge(name, options));
  readsPast(named('reset', 'make a branch what the cluster is now'), count).action(async (name, options) =>
    (await lazily()).branch.reset(name, options),
  );
  named('delete', 'end a branch').action(async (name, options) => (await lazily()).branch.delete(name, options));
}
