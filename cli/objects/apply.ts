import { equalJson, isReason, type KubeObject, type ObjectKey, sleep } from '@trimtab/machinery';
import { CliError } from '../errors.js';
import type { Resource } from './catalogue.js';
import { errorText } from './error-text.js';
import { readManifests } from './files.js';
import { inOrder, isDefinedAmong, type Manifest } from './manifest.js';
import { nameText } from './object-text.js';
import type { Session } from './session.js';

export interface ApplyOptions {
  readonly filename: readonly string[];
  readonly forceConflicts?: boolean;
  readonly dryRun?: boolean;
}

const MANAGER = 'trimtab';
/** How long a kind just defined may take to be served. */
const SERVED_MS = 10_000;
const LOOK_AGAIN_MS = 50;

/**
 * Makes objects be what files say. Nothing is sent before every file could be read and every kind is known; an object the
 * server refuses does not keep the others back. Gives the exit code.
 */
export async function applyFiles(session: Session, options: ApplyOptions): Promise<number> {
  const manifests = inOrder(await readManifests(options.filename, session.io.input, session.namespace));
  const catalogue = await session.catalogue();
  for (const { object, where } of manifests) {
    const { apiVersion, kind } = object;
    if (!catalogue.kind(apiVersion, kind) && !isDefinedAmong(manifests, apiVersion, kind))
      throw unknownKind(object, where);
  }
  let failed = false;
  for (const manifest of manifests) {
    try {
      session.say(await applyOne(session, manifest, options));
    } catch (error) {
      const text = errorText(error, manifest.place);
      if (text === undefined) throw error;
      session.complain(text);
      failed = true;
    }
  }
  return failed ? 1 : 0;
}

async function applyOne(session: Session, manifest: Manifest, options: ApplyOptions): Promise<string> {
  const { object, where } = manifest;
  const { type } = await servedResource(session, manifest, options);
  const key = keyOf(session, { type }, manifest);
  const before = await session.client.get(type, key).catch((error: unknown) => {
    if (isReason(error, 'NotFound')) return undefined;
    throw error;
  });
  const body = { ...object, metadata: { ...object.metadata, ...key } };
  const after = await session.client
    .patch(
      type,
      key,
      { type: 'apply', body },
      { fieldManager: MANAGER, dryRun: Boolean(options.dryRun), force: Boolean(options.forceConflicts) },
    )
    .catch((error: unknown) => {
      if (!isReason(error, 'UnsupportedMediaType')) throw error;
      throw new CliError(`${where}: the server cannot apply ${type.resource}`);
    });
  return `${nameText(type, key.name)} ${outcome(before, after)}${options.dryRun ? ' (server dry run)' : ''}`;
}

/** What became of an object. A write that changes nothing keeps its version. */
export function outcome(before: KubeObject | undefined, after: KubeObject): 'created' | 'configured' | 'unchanged' {
  if (!before || before.metadata.uid !== after.metadata.uid) return 'created';
  return equalJson(essence(before), essence(after)) ? 'unchanged' : 'configured';
}

/** Without what the server keeps for itself; status is not applied, and changes on its own. */
function essence(object: KubeObject): object {
  const { apiVersion: _, kind: __, status: ___, ...rest } = object as KubeObject & { readonly status?: unknown };
  const { managedFields, resourceVersion, generation, ...metadata } = object.metadata;
  const owners = managedFields?.map(({ time, ...entry }) => entry).filter(({ manager }) => manager === MANAGER);
  return { ...rest, metadata: { ...metadata, owners: owners ?? [] } };
}

/** Where an object belongs; a namespace on the command line must not contradict the file. */
export function keyOf(session: Session, { type }: Pick<Resource, 'type'>, { object, place }: Manifest): ObjectKey {
  const { name = '', namespace } = object.metadata;
  if (!type.namespaced) return { name };
  const { namespaceOption } = session;
  if (namespace && namespaceOption && namespace !== namespaceOption)
    throw new CliError(
      `${place('metadata.namespace')}: the namespace "${namespace}" does not match the namespace "${namespaceOption}" of the command line`,
    );
  return { namespace: namespace || session.namespace, name };
}

/** A kind defined a moment ago is served a little later. */
async function servedResource(
  session: Session,
  { object, where }: Manifest,
  { dryRun }: ApplyOptions,
): Promise<Resource> {
  const { clock } = session;
  const end = clock.now() + (dryRun ? 0 : SERVED_MS);
  for (let again = false; ; again = true) {
    const found = (await session.catalogue(again)).kind(object.apiVersion, object.kind);
    if (found) return found;
    if (clock.now() >= end) throw unknownKind(object, where);
    await sleep(clock, LOOK_AGAIN_MS);
  }
}

const unknownKind = ({ kind, apiVersion }: Manifest['object'], where: string): CliError =>
  new CliError(`${where}: no matches for kind "${kind}" in version "${apiVersion}"; is its definition installed?`);
