import { change, controllerReference, create, type Effect, isDeleting, remove } from '@trimtab/framework';
import {
  type ControllerRevision,
  ControllerRevisions,
  type KubeObject,
  type PodTemplateSpec,
  type ResourceType,
} from '@trimtab/machinery';
import { sameTemplate, templateHash } from './deployment/template-hash.js';

/**
 * The templates a DaemonSet or StatefulSet has had, as `kubectl rollout history` and `undo` read them (kubernetes:
 * pkg/controller/history): each is a ControllerRevision whose data is a patch that brings its template back.
 */
export interface History {
  /** Oldest revision first. */
  readonly all: readonly ControllerRevision[];
  /** That of the present template, where there is one. */
  readonly current: ControllerRevision | undefined;
  /** What to create when there is none. */
  readonly wanting: ControllerRevision;
  /** Somebody else's revision has the name the new one would get. */
  readonly collides: boolean;
  /** The number the current one has to have: it is the newest, also after a rollback. */
  readonly number: number;
}

export interface HistoryOwner {
  readonly type: ResourceType;
  readonly object: KubeObject;
  readonly template: PodTemplateSpec;
  readonly collisionCount: number;
  /** Label of the revision that carries the hash of its template. */
  readonly hashLabel: string;
  /** Annotations that are the owner's alone. */
  readonly notInherited?: readonly string[];
}

export const REVISION_HASH = 'controller-revision-hash';
const DEFAULT_LIMIT = 10;

export function historyOf(
  owner: HistoryOwner,
  owned: readonly ControllerRevision[],
  isTaken: (name: string) => boolean,
): History {
  const all = owned.filter((each) => !isDeleting(each)).sort((a, b) => a.revision - b.revision);
  const current = all.filter((each) => sameTemplate(templateOf(each), owner.template)).at(-1);
  const newest = Math.max(0, ...all.filter((each) => each !== current).map((each) => each.revision));
  const number = Math.max(newest + 1, current?.revision ?? 0);
  const wanting = revisionFor(owner, number);
  return { all, current, wanting, number, collides: !current && isTaken(wanting.metadata.name!) };
}

function revisionFor({ type, object, template, ...owner }: HistoryOwner, revision: number): ControllerRevision {
  const hash = templateHash(template, owner.collisionCount);
  const annotations = Object.entries(object.metadata.annotations ?? {}).filter(
    ([name]) => !owner.notInherited?.includes(name),
  );
  return {
    apiVersion: 'apps/v1',
    kind: ControllerRevisions.kind,
    metadata: {
      name: `${object.metadata.name}-${hash}`,
      namespace: object.metadata.namespace,
      labels: { ...template.metadata?.labels, [owner.hashLabel]: hash },
      ...(annotations.length > 0 ? { annotations: Object.fromEntries(annotations) } : {}),
      ownerReferences: [controllerReference(type, object)],
    },
    data: { spec: { template: { ...(template as object), $patch: 'replace' } } },
    revision,
  };
}

export function templateOf(revision: ControllerRevision): PodTemplateSpec | undefined {
  const data = revision.data as
    | { readonly spec?: { readonly template?: Readonly<Record<string, unknown>> } }
    | undefined;
  if (!data?.spec?.template) return undefined;
  const { $patch: _, ...template } = data.spec.template;
  return template as PodTemplateSpec;
}

export const createRevision = ({ wanting }: History): readonly Effect[] => [create(ControllerRevisions, wanting)];

/** A template that comes back gets a new number, not a new object. */
export const renumberRevision = ({ current, number }: History): readonly Effect[] =>
  current
    ? change(ControllerRevisions, current, (draft) => {
        draft.revision = number;
      })
    : [];

/** Oldest revisions beyond the limit go, unless `live` (a pod, or a rollout under way, still is of it). */
export function forgetRevisions(
  { all, current }: History,
  limit: number = DEFAULT_LIMIT,
  live: (revision: ControllerRevision) => boolean,
): readonly Effect[] {
  const old = all.filter((each) => each !== current);
  const spare = old.filter((each) => !live(each));
  const surplus = Math.max(0, spare.length - limit);
  return spare.slice(0, surplus).map((each) => remove(ControllerRevisions, each));
}
