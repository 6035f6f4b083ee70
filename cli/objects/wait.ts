import type { KubeObject, ObjectKey, ResourceType } from '@trimtab/machinery';
import { CliError } from '../errors.js';
import { resourceText } from './catalogue.js';
import { follow, onlyThis } from './collection.js';
import { type Awaited, isMet, parseAwaited } from './condition.js';
import { errorText } from './error-text.js';
import { keyFor } from './get.js';
import { nameText } from './object-text.js';
import type { Session } from './session.js';
import { targetsOf } from './targets.js';

export interface WaitOptions {
  readonly for: string;
  /** Seconds, for all objects together; 0 looks once. */
  readonly timeout: number;
}

/** Waits until every object is what is asked for. Gives the exit code. */
export async function waitForObjects(
  session: Session,
  word: string,
  names: readonly string[],
  options: WaitOptions,
): Promise<number> {
  const awaited = parseAwaited(options.for);
  const targets = targetsOf(await session.catalogue(), word, names);
  if (targets.some((target) => target.names.length === 0))
    throw new CliError('resource(s) were provided, but no name was specified');
  const signal = new AbortController();
  const cancel = session.clock.after(options.timeout * 1000, () => signal.abort());
  const outcomes = targets.flatMap(({ resource: { type }, names: given }) =>
    given.map(async (name) => {
      try {
        const met = await waitFor(session, type, keyFor(session, type, name), awaited, signal.signal);
        if (met) session.say(`${nameText(type, name)} condition met`);
        else session.complain(`error: timed out waiting for the condition on ${resourceText(type)}/${name}`);
        return met;
      } catch (error) {
        const text = errorText(error);
        if (text === undefined) throw error;
        session.complain(text);
        return false;
      }
    }),
  );
  const met = await Promise.all(outcomes).finally(cancel);
  return met.every(Boolean) ? 0 : 1;
}

/** False when the signal came first. Rejects when the object is not there, or goes, while its state is waited for. */
async function waitFor(
  session: Session,
  type: ResourceType,
  key: ObjectKey,
  awaited: Awaited,
  signal: AbortSignal,
): Promise<boolean> {
  const absent = awaited.type === 'delete' || awaited.type === 'create';
  const first = await session.client.get(type, key).catch((error: unknown) => {
    if (absent && (error as { readonly reason?: string }).reason === 'NotFound') return undefined;
    throw error;
  });
  if (isMet(awaited, first)) return true;
  if (signal.aborted) return false;
  const informer = follow(session, type, onlyThis(key));
  return new Promise<boolean>((resolve, reject) => {
    const look = () => {
      if (!informer.hasSynced()) return;
      const object: KubeObject | undefined = informer.get(key);
      const replaced = awaited.type === 'delete' && object?.metadata.uid !== first?.metadata.uid;
      if (isMet(awaited, object) || replaced) resolve(true);
      else if (!object && !absent)
        reject(new CliError(`${resourceText(type)} "${key.name}" was deleted while it was waited for`));
    };
    signal.addEventListener('abort', () => resolve(false), { once: true });
    informer.addHandler(look);
    informer.start();
    void informer.whenSynced().then(look);
  }).finally(() => informer.stop());
}
