import { isReason, type KubeObject, type ResourceType } from '@trimtab/machinery';
import type { Session } from '../objects/session.js';
import { resourceFor } from '../objects/targets.js';
import { ask } from './ask.js';
import { type Change, comparable, type FieldChange, fieldChanges, fieldWords, placeText, writerText } from './words.js';

/** The writes that made an object what it is: its own, and those of the objects it was made for. */

interface WriteList {
  readonly oldest?: { readonly revision: number; readonly time?: string };
  readonly items: readonly Change[];
}

/** Lines of the chain. */
const SHOWN = 25;
const FIELDS = 3;
/** A pod's controller, that one's controller, and so on. */
const OWNERS = 4;

/** The chain in words, oldest first; empty where the server keeps no history or nothing of this object is kept. */
export async function chainOf(session: Session, type: ResourceType, name: string): Promise<readonly string[]> {
  const own = await writesOf(session, type, name).catch((error: unknown) => {
    if (isReason(error, 'Forbidden') || (error as Error).name === 'CliError') return undefined;
    throw error;
  });
  if (!own || own.items.length === 0) return [];
  const latest = own.items.at(-1)!;
  const lines: { readonly revision: number; readonly line: string }[] = linesOf(own.items, false);
  let object: KubeObject | undefined = latest.after ?? latest.before;
  for (let i = 0; i < OWNERS; i++) {
    const owner: { readonly apiVersion: string; readonly kind: string; readonly name: string } | undefined =
      object?.metadata.ownerReferences?.find(({ controller }) => controller);
    const resource = owner && (await session.catalogue()).kind(owner.apiVersion, owner.kind);
    if (!resource) break;
    const { items }: WriteList = await writesOf(session, resource.type, owner.name);
    lines.push(...linesOf(items, true));
    object = items.at(-1)?.after ?? items.at(-1)?.before;
  }
  const sorted = lines.sort((a, b) => a.revision - b.revision).map(({ line }) => line);
  const left = sorted.length - SHOWN;
  return [
    `How it came here${own.oldest?.time ? ` (what is kept begins at ${own.oldest.time})` : ''}:`,
    ...(left > 0 ? [`  (${left} writes before)`] : []),
    ...sorted.slice(-SHOWN),
  ];
}

/** Whatever the history has of one object, by the words for it: `deployment/web`. */
export async function chainFor(session: Session, kind: string, name: string): Promise<readonly string[]> {
  return chainOf(session, resourceFor(await session.catalogue(), kind).type, name);
}

function writesOf(session: Session, type: ResourceType, name: string): Promise<WriteList> {
  return ask<WriteList>(session, 'GET', 'history/writes', {
    resource: `${type.group}/${type.resource}`,
    name,
    ...(type.namespaced ? { namespace: session.namespace } : {}),
    limit: 200,
  });
}

/** Of owners, what they asked for: their status follows what they own. */
function linesOf(writes: readonly Change[], asked: boolean): { readonly revision: number; readonly line: string }[] {
  return writes.flatMap((write) => {
    const what = whatText(write, asked);
    if (what === undefined) return [];
    const by = write.writer ? `${writerText(write.writer)} ` : '';
    const time = write.time ? `${write.time}  ` : '';
    return [{ revision: write.revision, line: `  ${time}${write.revision}  ${by}${what}` }];
  });
}

function whatText(write: Change, asked: boolean): string | undefined {
  const place = placeText({ ...write, namespace: undefined });
  if (write.type === 'created') return `created ${place}${causeText(write.after)}`;
  if (write.type === 'deleted') return `${write.writer ? '' : 'somebody '}deleted ${place}`;
  if (!write.before?.metadata.deletionTimestamp && write.after?.metadata.deletionTimestamp)
    return `asked for the end of ${place}`;
  const changes = fieldChanges(comparable(write.before!), comparable(write.after!)).filter((change) =>
    isNews(change, asked),
  );
  if (changes.length === 0) return undefined;
  const words = changes.slice(0, FIELDS).map(fieldWords).join('; ');
  const more = changes.length - FIELDS;
  return `changed ${place}: ${words}${more > 0 ? `; and ${more} more ${more === 1 ? 'field' : 'fields'}` : ''}`;
}

const NOISE =
  /^\.metadata\.(generation|resourceVersion)|\.(lastProbeTime|lastTransitionTime|lastUpdateTime|observedGeneration|lastHeartbeatTime)$|last-applied-configuration/;

const isNews = ({ path }: FieldChange, asked: boolean): boolean =>
  !NOISE.test(path) && !(asked && path.startsWith('.status'));

function causeText(object: KubeObject | undefined): string {
  const owner = object?.metadata.ownerReferences?.find(({ controller }) => controller);
  return owner ? ` for ${owner.kind.toLowerCase()}/${owner.name}` : '';
}
