import { isReason, type KubeObject, type ObjectKey, type ResourceType } from '@trimtab/machinery';
import { CliError } from '../errors.js';
import { keyOf } from './apply.js';
import { kindText } from './catalogue.js';
import { follow, listAll, onlyThis } from './collection.js';
import { errorText } from './error-text.js';
import { readManifests } from './files.js';
import { keyFor } from './get.js';
import { inOrderOfDeletion } from './manifest.js';
import type { Session } from './session.js';
import { targetsOf } from './targets.js';

export interface DeleteOptions {
  readonly filename?: readonly string[];
  readonly selector?: string;
  /** False: return once the server has taken the order. */
  readonly wait?: boolean;
}

interface Condemned {
  readonly type: ResourceType;
  readonly key: ObjectKey;
}

/** Deletes objects and, unless told otherwise, waits until they are gone. Gives the exit code. */
export async function deleteObjects(
  session: Session,
  word: string | undefined,
  names: readonly string[],
  options: DeleteOptions,
): Promise<number> {
  const condemned = options.filename
    ? await fromFiles(session, word, options)
    : await fromWords(session, word, names, options);
  if (condemned.length === 0) session.complain('No resources found');
  let failed = false;
  const departures: Promise<void>[] = [];
  for (const each of condemned) {
    try {
      const uid = await deleteOne(session, each);
      if (options.wait !== false && uid !== undefined) departures.push(gone(session, each, uid));
    } catch (error) {
      const text = errorText(error);
      if (text === undefined) throw error;
      session.complain(text);
      failed = true;
    }
  }
  await Promise.all(departures);
  return failed ? 1 : 0;
}

async function fromFiles(
  session: Session,
  word: string | undefined,
  { filename = [], selector }: DeleteOptions,
): Promise<readonly Condemned[]> {
  if (word !== undefined || selector) throw new CliError('give either files or resources, not both');
  const catalogue = await session.catalogue();
  const manifests = inOrderOfDeletion(await readManifests(filename, session.io.input, session.namespace));
  return manifests.flatMap((manifest) => {
    const { apiVersion, kind } = manifest.object;
    const resource = catalogue.kind(apiVersion, kind);
    if (resource) return [{ type: resource.type, key: keyOf(session, resource, manifest) }];
    session.complain(`${manifest.where}: there is no kind "${kind}" in version "${apiVersion}", so nothing of it`);
    return [];
  });
}

async function fromWords(
  session: Session,
  word: string | undefined,
  names: readonly string[],
  { selector }: DeleteOptions,
): Promise<readonly Condemned[]> {
  if (word === undefined) throw new CliError('say what to delete: a kind with names, kind/name, or files with -f');
  const targets = targetsOf(await session.catalogue(), word, names);
  if (selector && targets.some((target) => target.names.length > 0))
    throw new CliError('a name cannot be given together with a selector');
  if (!selector && targets.some((target) => target.names.length === 0))
    throw new CliError('resource(s) were provided, but no name was specified');
  const found: Condemned[] = [];
  for (const { resource, names: given } of targets) {
    const { type } = resource;
    found.push(...given.map((name) => ({ type, key: keyFor(session, type, name) })));
    if (!selector) continue;
    const namespace = type.namespaced ? { namespace: session.namespace } : {};
    const selected = await listAll(session, type, { ...namespace, labelSelector: selector });
    found.push(...selected.map(({ metadata }) => ({ type, key: keyFor(session, type, metadata.name!) })));
  }
  return found;
}

/** Gives the uid of what stays behind for now; undefined when the object is gone already. */
async function deleteOne(session: Session, { type, key }: Condemned): Promise<string | undefined> {
  const answer = await session.client.delete(type, key, { propagationPolicy: 'Background' });
  session.say(`${kindText(type)} "${key.name}" deleted`);
  return (answer as Partial<KubeObject>).metadata?.uid;
}

/** Resolves when the object of this uid is there no more; one that was created anew in its place does not count. */
async function gone(session: Session, { type, key }: Condemned, uid: string, signal?: AbortSignal): Promise<void> {
  const informer = follow(session, type, onlyThis(key));
  await new Promise<void>((resolve) => {
    const look = () => {
      if (informer.hasSynced() && informer.get(key)?.metadata.uid !== uid) resolve();
    };
    signal?.addEventListener('abort', () => resolve(), { once: true });
    informer.addHandler(look);
    informer.start();
    void informer.whenSynced().then(look);
  }).finally(() => informer.stop());
}

/** The object, or undefined where there is none. */
export async function lookUp(session: Session, type: ResourceType, key: ObjectKey): Promise<KubeObject | undefined> {
  try {
    return await session.client.get(type, key);
  } catch (error) {
    if (isReason(error, 'NotFound')) return undefined;
    throw error;
  }
}
