import { homedir } from 'node:os';
import type { BranchOptions } from '../history/branch.js';
import type { DiffOptions } from '../history/diff.js';
import type { UndoOptions } from '../history/undo.js';
import { type ConnectionOptions, kubeconfigFile } from '../objects/session.js';
import { defaultDataDir } from '../paths.js';
import { run } from './objects.js';

/** The commands that know the past, and branches. */

type Common = ConnectionOptions;

export const diff = (words: readonly string[], options: Common & DiffOptions): Promise<void> =>
  run(options, async (session) => (await import('../history/diff.js')).showDiff(session, words, options));

export const undo = (words: readonly string[], options: Common & UndoOptions): Promise<void> =>
  run(options, async (session) => (await import('../history/undo.js')).undo(session, words, options));

const lazily = () => import('../history/branch.js');

/** Where contexts of branches are kept: the file that says how the cluster is reached. */
const fileOf = ({ kubeconfig }: Common): string =>
  kubeconfigFile(kubeconfig, { environment: process.env, dataDir: defaultDataDir(), home: homedir() });

export const branch = {
  create: (name: string, options: Common & BranchOptions): Promise<void> =>
    run(options, async (session) => (await lazily()).createBranch(session, name, options, fileOf(options))),
  list: (options: Common): Promise<void> => run(options, async (session) => (await lazily()).listBranches(session)),
  diff: (name: string, words: readonly string[], options: Common & BranchOptions): Promise<void> =>
    run(options, async (session) => (await lazily()).diffBranch(session, name, words, options)),
  merge: (name: string, options: Common & BranchOptions): Promise<void> =>
    run(options, async (session) => (await lazily()).mergeBranch(session, name, options)),
  reset: (name: string, options: Common & BranchOptions): Promise<void> =>
    run(options, async (session) => (await lazily()).resetBranch(session, name, options)),
  delete: (name: string, options: Common): Promise<void> =>
    run(options, async (session) => (await lazily()).deleteBranch(session, name, fileOf(options))),
};
