import { CliError } from '../errors.js';
import { jsonText } from '../objects/object-text.js';
import type { Session } from '../objects/session.js';
import { targetsOf } from '../objects/targets.js';
import { ask, instantOf, type Parameters } from './ask.js';
import { unifiedLines } from './diff-lines.js';
import { type Change, comparable, placeText, writerText, yamlLines } from './words.js';

export interface DiffOptions {
  readonly from?: string;
  readonly to?: string;
  readonly output?: string;
}

export interface ChangeList {
  readonly from: { readonly revision: number; readonly time?: string };
  readonly to: { readonly revision: number; readonly time?: string };
  readonly items: readonly Change[];
}

/** What nobody means who asks what has changed: it does all the time. */
const FLEETING = new Set(['Event', 'Lease']);

/** Shows what changed between two moments, object by object. Gives 0 where nothing did and 1 where something did. */
export async function showDiff(session: Session, words: readonly string[], options: DiffOptions): Promise<number> {
  if (!options.from)
    throw new CliError('since when? Say --from with a time (10:32, 5m, 2026-11-21T10:32:00Z) or a revision');
  const list = await ask<ChangeList>(session, 'GET', 'history/changes', {
    from: instantOf(session, options.from),
    to: instantOf(session, options.to),
    ...(await scopeOf(session, words)),
  });
  return printChanges(session, list, options.output, words.length > 0);
}

/** The query that narrows history down to what words like `deployments`, `pod/web` or `svc web` name. */
export async function scopeOf(session: Session, words: readonly string[]): Promise<Parameters> {
  const namespace = session.namespaceOption;
  const [word, ...names] = words;
  if (word === undefined) return { ...(namespace ? { namespace } : {}) };
  const targets = targetsOf(await session.catalogue(), word, names);
  const all = [...new Set(targets.flatMap((target) => target.names))];
  const namespaced = targets.some(({ resource }) => resource.type.namespaced);
  const within = namespace ?? (all.length > 0 ? session.namespace : undefined);
  return {
    resource: targets.map(({ resource: { type } }) => `${type.group}/${type.resource}`),
    ...(all.length > 0 ? { name: all } : {}),
    ...(namespaced && within ? { namespace: within } : {}),
  };
}

export function printChanges(session: Session, list: ChangeList, output: string | undefined, asked: boolean): number {
  if (output !== undefined && output !== 'json')
    throw new CliError(`unable to match a printer to "${output}"; allowed is json`);
  const items = list.items
    .filter(({ kind }) => asked || !FLEETING.has(kind))
    .map(seen)
    .filter(differs);
  if (output === 'json') session.say(jsonText({ ...list, items }));
  else for (const change of items) session.say(...changeLines(change, list));
  return items.length > 0 ? 1 : 0;
}

const seen = (change: Change): Change => ({
  ...change,
  ...(change.before ? { before: comparable(change.before) } : {}),
  ...(change.after ? { after: comparable(change.after) } : {}),
});

const differs = ({ before, after }: Change): boolean => JSON.stringify(before) !== JSON.stringify(after);

function changeLines(change: Change, { from, to }: ChangeList): readonly string[] {
  const { before, after, type, revision, time } = change;
  const by = change.writers?.length ? ` by ${change.writers.map(writerText).join(', ')}` : '';
  const name = placeText(change);
  return [
    `${name} ${type}${by}${time ? ` at ${time}` : ''}, revision ${revision}`,
    `--- ${before ? `${name} at revision ${from.revision}` : '/dev/null'}`,
    `+++ ${after ? `${name} at revision ${to.revision}` : '/dev/null'}`,
    ...unifiedLines(yamlLines(before), yamlLines(after)),
    '',
  ];
}
