import type { KubeObject, ObjectKey, ResourceType } from '@trimtab/machinery';
import { CliError } from '../errors.js';
import type { Then } from '../history/past-client.js';
import { kindText } from './catalogue.js';
import { follow, listAll, onlyThis, type Scope, tabulator } from './collection.js';
import { errorText } from './error-text.js';
import { jsonText, listOf, nameText, shown, yamlText } from './object-text.js';
import type { Session } from './session.js';
import { TableWriter } from './table-text.js';
import { type Target, targetsOf } from './targets.js';

export interface GetOptions {
  readonly allNamespaces?: boolean;
  readonly selector?: string;
  readonly output?: string;
  readonly watch?: boolean;
}

const FORMATS = ['wide', 'yaml', 'json', 'name'];

interface Found {
  readonly type: ResourceType;
  readonly objects: readonly KubeObject[];
}

/**
 * Shows objects. What is there is shown even when other things asked for are not. Gives the exit code. With `watch` it goes
 * on until `signal` aborts.
 */
export async function getObjects(
  session: Session,
  word: string,
  names: readonly string[],
  options: GetOptions,
  signal?: AbortSignal,
): Promise<number> {
  const { output, selector } = options;
  if (output !== undefined && !FORMATS.includes(output))
    throw new CliError(`unable to match a printer to "${output}"; allowed are ${FORMATS.join(', ')}`);
  const targets = targetsOf(await session.catalogue(), word, names);
  if (selector && targets.some((target) => target.names.length > 0))
    throw new CliError('a name cannot be given together with a selector');
  if (options.allNamespaces && targets.some((target) => target.names.length > 0))
    throw new CliError('a resource cannot be retrieved by name across all namespaces');
  if (options.watch) return watch(session, targets, options, signal);
  const complaints: string[] = [];
  const found: Found[] = [];
  for (const target of targets) found.push(await find(session, target, options, complaints));
  await print(session, found, targets, options);
  session.complain(...complaints);
  return complaints.length > 0 ? 1 : 0;
}

const namespaceFor = (session: Session, { namespaced }: ResourceType, all?: boolean): string | undefined =>
  namespaced && !all ? session.namespace : undefined;

const scopeOf = (session: Session, type: ResourceType, options: GetOptions): Scope => {
  const namespace = namespaceFor(session, type, options.allNamespaces);
  return { ...(namespace ? { namespace } : {}), ...(options.selector ? { labelSelector: options.selector } : {}) };
};

export const keyFor = (session: Session, type: ResourceType, name: string): ObjectKey => ({
  ...(type.namespaced ? { namespace: session.namespace } : {}),
  name,
});

async function find(session: Session, target: Target, options: GetOptions, complaints: string[]): Promise<Found> {
  const { type } = target.resource;
  const objects: KubeObject[] = [];
  const attempt = async (work: () => Promise<readonly KubeObject[]>): Promise<void> => {
    try {
      objects.push(...(await work()));
    } catch (error) {
      const text = errorText(error);
      if (text === undefined) throw error;
      complaints.push(text);
    }
  };
  if (target.names.length === 0) await attempt(() => listAll(session, type, scopeOf(session, type, options)));
  for (const name of target.names)
    await attempt(async () => [await session.client.get(type, keyFor(session, type, name))]);
  return { type, objects };
}

async function print(
  session: Session,
  found: readonly Found[],
  targets: readonly Target[],
  options: GetOptions,
): Promise<void> {
  const all = found.flatMap(({ type, objects }) => objects.map((object) => shown(type, object)));
  const single = targets.length === 1 && targets[0]!.names.length === 1;
  if (options.output === 'json' || options.output === 'yaml') {
    if (single && all.length === 0) return;
    session.say((options.output === 'json' ? jsonText : yamlText)(single ? all[0] : listOf(all)));
    return;
  }
  const filled = found.filter(({ objects }) => objects.length > 0);
  if (options.output === 'name') {
    for (const { type, objects } of filled)
      session.say(...objects.map((object) => nameText(type, object.metadata.name ?? '')));
    return;
  }
  if (filled.length === 0 && targets.every((target) => target.names.length === 0)) {
    const scoped = targets.some(({ resource }) => resource.type.namespaced) && !options.allNamespaces;
    session.complain(scoped ? `No resources found in ${session.namespace} namespace.` : 'No resources found');
  }
  for (const [i, { type, objects }] of filled.entries()) {
    if (i > 0) session.say('');
    const tabulate = await tabulator(session, type);
    session.say(...new TableWriter(tableForm(type, options, targets.length > 1)).lines(tabulate(objects)));
  }
}

const tableForm = (type: ResourceType, options: GetOptions, several: boolean) => ({
  wide: options.output === 'wide',
  namespaces: Boolean(options.allNamespaces) && type.namespaced,
  ...(several ? { kind: kindText(type) } : {}),
});

/** First what is there, then every change; a deleted object is shown a last time. */
async function watch(
  session: Session,
  targets: readonly Target[],
  options: GetOptions,
  signal: AbortSignal | undefined,
): Promise<number> {
  const [target] = targets;
  if (targets.length !== 1 || !target || target.names.length > 1)
    throw new CliError('only one collection or one object can be watched');
  const { type } = target.resource;
  const [name] = target.names;
  // Refusals are said here; what comes later is a lost connection and is waited out.
  if (name !== undefined) await session.client.get(type, keyFor(session, type, name));
  else await session.client.list(type, { ...scopeOf(session, type, options), limit: 1 });
  const write = await watchPrinter(session, type, options);
  if (session.past) return watchSince(session, type, options, name, session.past, write, signal);
  const scope = name === undefined ? scopeOf(session, type, options) : onlyThis(keyFor(session, type, name));
  const informer = follow(session, type, scope);
  return new Promise((resolve) => {
    const end = () => {
      informer.stop();
      resolve(0);
    };
    if (signal?.aborted) return end();
    signal?.addEventListener('abort', end, { once: true });
    let initial: KubeObject[] | undefined = [];
    informer.addHandler(({ object }) => {
      if (initial) initial.push(object);
      else write([object]);
    });
    void informer.whenSynced().then(() => {
      if (initial && initial.length > 0) write(initial);
      initial = undefined;
    });
    informer.start();
  });
}

/** What there was then, and every event since. */
async function watchSince(
  session: Session,
  type: ResourceType,
  options: GetOptions,
  name: string | undefined,
  then: Then,
  write: (objects: readonly KubeObject[]) => void,
  signal: AbortSignal | undefined,
): Promise<number> {
  const scope = name === undefined ? scopeOf(session, type, options) : onlyThis(keyFor(session, type, name));
  const initial = await listAll(session, type, scope);
  if (initial.length > 0) write(initial);
  return new Promise((resolve, reject) => {
    let last = String(then.revision);
    const start = (): void => {
      const end = { error: reject, complete: () => void (signal?.aborted || start()) };
      const subscription = session.client.watch(type, { ...scope, resourceVersion: last }).subscribe({
        next: ({ object }) => {
          last = object.metadata.resourceVersion ?? last;
          write([object as KubeObject]);
        },
        ...end,
      });
      signal?.addEventListener('abort', () => {
        subscription.unsubscribe();
        resolve(0);
      });
    };
    start();
  });
}

async function watchPrinter(
  session: Session,
  type: ResourceType,
  options: GetOptions,
): Promise<(objects: readonly KubeObject[]) => void> {
  switch (options.output) {
    case 'json':
      return (objects) => session.say(...objects.map((object) => jsonText(shown(type, object))));
    case 'yaml':
      return (objects) => session.say(...objects.flatMap((object) => ['---', yamlText(shown(type, object))]));
    case 'name':
      return (objects) => session.say(...objects.map((object) => nameText(type, object.metadata.name ?? '')));
    default: {
      const tabulate = await tabulator(session, type);
      const writer = new TableWriter(tableForm(type, options, false));
      return (objects) => session.say(...writer.lines(tabulate(objects)));
    }
  }
}
