import { isReason, StatusError } from '@trimtab/machinery';
import { CliError } from '../errors.js';
import type { Session } from '../objects/session.js';
import { instantText } from './instant.js';
import type { Then } from './past-client.js';

/** Options of commands that read the past. */
export interface ThenOptions {
  readonly at?: string;
  readonly revision?: number;
}

export type Parameters = Readonly<Record<string, string | number | boolean | readonly string[] | undefined>>;

/** Asks the server's history. @throws CliError where the server has none, StatusError where it refuses. */
export async function ask<T>(
  { client }: Session,
  method: 'GET' | 'POST' | 'DELETE',
  path: string,
  parameters: Parameters = {},
  body?: object,
): Promise<T> {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters))
    if (value !== undefined && value !== false)
      for (const each of Array.isArray(value) ? value : [value]) query.append(name, String(each));
  const text = await client.send(method, `/trimtab/${path}${query.size > 0 ? `?${query}` : ''}`, body).catch(explain);
  return JSON.parse(text) as T;
}

function explain(error: unknown): never {
  const unknownPath = isReason(error, 'NotFound') && /could not find the requested resource/.test(error.message);
  if (unknownPath)
    throw new CliError('this server keeps no history that can be asked: it is none of Trimtab’s, or an older one');
  if (error instanceof StatusError && error.reason === 'Expired')
    throw new CliError(
      `${error.message}\nHow much is kept is set by: trimtab up --history-age, --history-size, --history-commits`,
    );
  throw error;
}

interface Moment {
  readonly revision: number;
  readonly time?: string;
}

/** The moment that options name; undefined: the present. */
export async function thenOf(session: Session, { at, revision }: ThenOptions): Promise<Then | undefined> {
  if (at !== undefined && revision !== undefined)
    throw new CliError('--at and --revision both say when; give one of them');
  if (at === undefined && revision === undefined) return undefined;
  const text = at === undefined ? String(revision) : instantText(at, session.clock.now());
  const moment = await ask<Moment>(session, 'GET', 'history', { at: text });
  return { revision: moment.revision, ...(moment.time ? { time: Date.parse(moment.time) } : {}) };
}

/** An option that names an instant, as the server reads it. */
export const instantOf = (session: Session, text: string | undefined): string | undefined =>
  text === undefined ? undefined : instantText(text, session.clock.now());
