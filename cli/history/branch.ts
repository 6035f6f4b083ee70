import { columnLines } from '../objects/columns.js';
import type { Session } from '../objects/session.js';
import { ask, instantOf, type ThenOptions } from './ask.js';
import { contextName, editKubeconfig, withContext, withoutContext } from './contexts.js';
import { type ChangeList, printChanges, scopeOf } from './diff.js';
import { planned } from './undo.js';

/** Branches of a cluster's state, as the command line has them. Each gives the exit code. */

interface BranchDocument {
  readonly name: string;
  readonly createdAt: string;
  readonly base: number;
  readonly revision: number;
  readonly writes: number;
}

export interface BranchOptions extends ThenOptions {
  readonly output?: string;
  readonly dryRun?: boolean;
  readonly all?: boolean;
}

const path = (name: string, action?: string): string =>
  `branches/${encodeURIComponent(name)}${action ? `/${action}` : ''}`;

const since = (session: Session, { at, revision }: ThenOptions) => ({
  at: instantOf(session, at) ?? (revision === undefined ? undefined : String(revision)),
});

export async function createBranch(
  session: Session,
  name: string,
  options: BranchOptions,
  kubeconfig: string,
): Promise<number> {
  const branch = await ask<BranchDocument>(session, 'POST', 'branches', since(session, options), { name });
  await editKubeconfig(kubeconfig, (config) => withContext(config, name));
  session.say(
    `branch ${name} begins at revision ${branch.base}; nothing done there is done here. Use it with:`,
    `  kubectl --kubeconfig ${kubeconfig} --context ${contextName(name)} get pods`,
    `  trimtab get pods --context ${contextName(name)}`,
  );
  return 0;
}

export async function listBranches(session: Session): Promise<number> {
  const { items } = await ask<{ readonly items: readonly BranchDocument[] }>(session, 'GET', 'branches');
  if (items.length === 0) session.complain('There are no branches.');
  else
    session.say(
      ...columnLines([
        ['NAME', 'BASE', 'REVISION', 'WRITES', 'CREATED'],
        ...items.map(({ name, base, revision, writes, createdAt }) => [
          name,
          `${base}`,
          `${revision}`,
          `${writes}`,
          createdAt,
        ]),
      ]),
    );
  return 0;
}

/** What a merge would bring; with `all`, everything that differs from the branch's beginning, controllers' work too. */
export async function diffBranch(
  session: Session,
  name: string,
  words: readonly string[],
  options: BranchOptions,
): Promise<number> {
  if (!options.all) return planned(session, path(name, 'merge'), {}, { ...options, dryRun: true }, 'merged');
  const list = await ask<ChangeList>(session, 'GET', path(name, 'changes'), await scopeOf(session, words));
  return printChanges(session, list, options.output, words.length > 0);
}

export const mergeBranch = (session: Session, name: string, options: BranchOptions): Promise<number> =>
  planned(session, path(name, 'merge'), {}, options, 'merged');

export async function resetBranch(session: Session, name: string, options: BranchOptions): Promise<number> {
  const branch = await ask<BranchDocument>(session, 'POST', path(name, 'reset'), since(session, options));
  session.say(`branch ${name} begins anew at revision ${branch.base}`);
  return 0;
}

export async function deleteBranch(session: Session, name: string, kubeconfig: string): Promise<number> {
  await ask(session, 'DELETE', path(name));
  await editKubeconfig(kubeconfig, (config) => withoutContext(config, name));
  session.say(`branch ${name} deleted`);
  return 0;
}
