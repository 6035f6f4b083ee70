import { jsonText } from '../objects/object-text.js';
import type { Session } from '../objects/session.js';
import { ask, instantOf } from './ask.js';
import { scopeOf } from './diff.js';
import { unifiedLines } from './diff-lines.js';
import { type Change, comparable, placeText, yamlLines } from './words.js';

export interface UndoOptions {
  readonly manager?: string;
  readonly from?: string;
  readonly to?: string;
  readonly dryRun?: boolean;
  readonly output?: string;
}

/** A plan as the server tells it. */
export interface PlanDocument {
  readonly revision: number;
  readonly done: boolean;
  readonly steps: readonly (Omit<Change, 'type' | 'revision'> & {
    readonly action: 'create' | 'update' | 'delete';
    readonly fields: readonly string[];
  })[];
  readonly conflicts: readonly (Pick<Change, 'apiVersion' | 'kind' | 'namespace' | 'name'> & {
    readonly fields: readonly string[];
    readonly reason: string;
  })[];
}

/** Takes writes back: shows first what that changes, then does it unless it is only to be shown. */
export async function undo(session: Session, words: readonly string[], options: UndoOptions): Promise<number> {
  const parameters = {
    manager: options.manager,
    from: instantOf(session, options.from),
    to: instantOf(session, options.to),
    ...(await scopeOf(session, words)),
  };
  return planned(session, 'history/undo', parameters, options, 'undone');
}

/** Asks for a plan, shows it, and has it carried out. Gives 1 for conflicts, which leave everything as it is. */
export async function planned(
  session: Session,
  path: string,
  parameters: Readonly<Record<string, string | number | readonly string[] | boolean | undefined>>,
  { dryRun, output }: Pick<UndoOptions, 'dryRun' | 'output'>,
  done: string,
): Promise<number> {
  const plan = await ask<PlanDocument>(session, 'POST', path, { ...parameters, dryRun: 'All' });
  if (output !== 'json') session.say(...plan.steps.flatMap(stepLines));
  if (plan.conflicts.length > 0) {
    if (output === 'json') session.say(jsonText(plan));
    session.complain(
      ...plan.conflicts.flatMap(conflictLines),
      `error: nothing was ${done}, because of the conflicts above`,
    );
    return 1;
  }
  const result = dryRun ? plan : await ask<PlanDocument>(session, 'POST', path, parameters);
  if (output === 'json') session.say(jsonText(result));
  else if (result.steps.length === 0) session.say('there is nothing to do: everything is so already');
  else if (!dryRun) session.say(`${done} at revision ${result.revision}: ${objectsText(result.steps.length)}`);
  else session.say(`${objectsText(result.steps.length)} would change (dry run)`);
  return 0;
}

const objectsText = (count: number): string => (count === 1 ? '1 object' : `${count} objects`);

const WHAT = { create: 'is created', update: 'is changed', delete: 'is deleted' } as const;

function stepLines(step: PlanDocument['steps'][number]): readonly string[] {
  const head = `${placeText(step)} ${WHAT[step.action]}`;
  if (step.action !== 'update') return [head];
  const lines = unifiedLines(yamlLines(step.before && comparable(step.before)), yamlLines(step.after));
  return [`${head}: ${step.fields.join(', ')}`, ...lines.map((line) => `  ${line}`)];
}

const conflictLines = (conflict: PlanDocument['conflicts'][number]): readonly string[] => [
  `conflict: ${placeText(conflict)}: ${conflict.reason}`,
  ...conflict.fields.map((field) => `  ${field}`),
];
