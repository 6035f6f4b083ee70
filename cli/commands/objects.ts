import { CliError } from '../errors.js';
import type { ThenOptions } from '../history/ask.js';
import { applyFiles } from '../objects/apply.js';
import { deleteObjects } from '../objects/delete.js';
import { describeObjects } from '../objects/describe.js';
import { errorText } from '../objects/error-text.js';
import { execInPod } from '../objects/exec.js';
import { type GetOptions, getObjects } from '../objects/get.js';
import { type LogsOptions, showLogs } from '../objects/logs.js';
import { type ConnectionOptions, openSession, type Session } from '../objects/session.js';
import { waitForObjects } from '../objects/wait.js';
import { defaultDataDir } from '../paths.js';

/** The commands that talk to a cluster, each over a session that ends with it. */

type Common = ConnectionOptions;
type Reading = Common & ThenOptions;

export const apply = (options: Common & Parameters<typeof applyFiles>[1]): Promise<void> =>
  run(options, (session) => applyFiles(session, options));

export const get = (resource: string, names: readonly string[], options: Reading & GetOptions): Promise<void> =>
  run(options, (session) => read(session, options, (then) => getObjects(then, resource, names, options)));

export const describe = (resource: string, names: readonly string[], options: Reading): Promise<void> =>
  run(options, (session) => read(session, options, (then) => describeObjects(then, resource, names)));

export const remove = (
  resource: string | undefined,
  names: readonly string[],
  options: Common & Parameters<typeof deleteObjects>[3],
): Promise<void> => run(options, (session) => deleteObjects(session, resource, names, options));

export const wait = (
  resource: string,
  names: readonly string[],
  options: Common & Parameters<typeof waitForObjects>[3],
): Promise<void> => run(options, (session) => waitForObjects(session, resource, names, options));

export const logs = (pod: string | undefined, options: Common & LogsOptions & { gone?: boolean }): Promise<void> =>
  run(options, async (session) => {
    if (options.gone) return (await import('../objects/gone-logs.js')).showGoneLogs(session, pod, options);
    if (pod === undefined) throw new CliError('say of which pod: trimtab logs POD');
    return showLogs(session, pod, options);
  });

export const exec = (
  pod: string,
  words: readonly string[],
  options: Common & Parameters<typeof execInPod>[3],
): Promise<void> => run(options, (session) => execInPod(session, pod, words, options));

export const why = (reference: string, options: Common): Promise<void> =>
  // The scheduler's rules come with it, which no other command needs.
  run(options, async (session) => (await import('../objects/why.js')).explainObject(session, reference));

/** Of the present, or of the moment that the options name. */
async function read(
  session: Session,
  options: ThenOptions,
  work: (session: Session) => Promise<number>,
): Promise<number> {
  if (options.at === undefined && options.revision === undefined) return work(session);
  const { thenOf } = await import('../history/ask.js');
  const then = session.at((await thenOf(session, options))!);
  try {
    return await work(then);
  } finally {
    then.close();
  }
}

/** Sets the exit code, and leaves nothing behind that would keep the process alive. */
export async function run(options: Common, work: (session: Session) => Promise<number>): Promise<void> {
  // A reader that has seen enough, such as `head`, is no error.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));
  let session: Session | undefined;
  try {
    const io = { input: process.stdin, output: process.stdout, errors: process.stderr };
    session = await openSession(options, io, { environment: process.env, dataDir: defaultDataDir() });
    process.exitCode = await work(session);
  } catch (error) {
    const text = errorText(error);
    if (text === undefined) throw error;
    process.stderr.write(`${text}\n`);
    process.exitCode = 1;
  } finally {
    session?.close();
    process.stdin.unref?.();
  }
}
