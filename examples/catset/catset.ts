import {
  changeStatus,
  controller,
  create,
  customKind,
  done,
  type Effect,
  isDeleting,
  type ObjectOf,
  operator,
  owned,
  remove,
  s,
  type View,
} from '@trimtab/framework';
import { PersistentVolumeClaims, type Pod, Pods } from '@trimtab/machinery';

/**
 * CatSet, the tutorial operator of metacontroller (there a webhook of about 100 lines): pods with stable names and volume
 * claims of their own, made one after another in order and taken away in reverse, one at a time.
 */
export const CatSets = customKind({
  group: 'ctl.enisoc.com',
  version: 'v1',
  kind: 'CatSet',
  spec: s.object({
    replicas: s.defaulted(s.integer({ minimum: 0 }), 1),
    template: s.anything<Pod>(),
    volumeClaimTemplates: s.optional(s.list(s.anything<ClaimTemplate>())),
  }),
  status: s.object({ replicas: s.optional(s.integer()), readyReplicas: s.optional(s.integer()) }),
  columns: [{ name: 'Ready', type: 'integer', path: '.status.readyReplicas' }],
  scale: { replicas: '.spec.replicas', ready: '.status.replicas' },
});

export type CatSet = ObjectOf<typeof CatSets>;
interface ClaimTemplate {
  readonly metadata: { readonly name: string };
  readonly spec: object;
}

const nameOf = (set: CatSet, ordinal: number): string => `${set.metadata.name}-${ordinal}`;
const ordinalOf = (pod: Pod): number => Number(pod.metadata.name!.slice(pod.metadata.name!.lastIndexOf('-') + 1));
const isReady = (pod: Pod): boolean =>
  pod.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') ?? false;
const byOrdinal = (pods: readonly Pod[]): readonly Pod[] => [...pods].sort((a, b) => ordinalOf(a) - ordinalOf(b));

function reconcile(view: View<CatSet>): readonly Effect[] {
  const set = view.object;
  if (!set) return [];
  const pods = byOrdinal(view.owned(Pods));
  const status = changeStatus(CatSets, set, (draft) => {
    draft.status = { replicas: pods.length, readyReplicas: pods.filter(isReady).length };
  });
  return [...status, ...nextStep(set, pods)];
}

/** One step at a time: nothing is begun while a pod is on its way in or out. */
function nextStep(set: CatSet, pods: readonly Pod[]): readonly Effect[] {
  if (pods.some(isDeleting)) return [];
  const { replicas } = set.spec;
  for (let ordinal = 0; ordinal < replicas; ordinal++) {
    const pod = pods.find((each) => ordinalOf(each) === ordinal);
    if (!pod) return birth(set, ordinal);
    if (pod.status?.phase === 'Failed') return [remove(Pods, pod)];
    if (!isReady(pod)) return [];
  }
  const last = pods.at(-1);
  return last && ordinalOf(last) >= replicas ? [remove(Pods, last)] : [];
}

/** Claims outlive their pods, and their set: whoever comes back finds its data. */
function birth(set: CatSet, ordinal: number): readonly Effect[] {
  const name = nameOf(set, ordinal);
  const { namespace } = set.metadata;
  const templates = set.spec.volumeClaimTemplates ?? [];
  const claims = templates.map(({ metadata, spec }) => ({
    metadata: { namespace, name: `${metadata.name}-${name}` },
    spec,
  }));
  const { spec, metadata } = set.spec.template;
  const volumes = templates.map(({ metadata: { name: volume } }) => ({
    name: volume,
    persistentVolumeClaim: { claimName: `${volume}-${name}` },
  }));
  const pod = owned(CatSets, set, {
    metadata: { ...metadata, name },
    spec: { ...spec!, hostname: name, volumes: [...(spec?.volumes ?? []), ...volumes] },
  });
  return [
    ...claims.map((claim) => create(PersistentVolumeClaims, claim, undefined, { ifMissing: true })),
    create(Pods, pod),
  ];
}

/** Pods go in reverse, also when all of them go. */
function cleanup(view: View<CatSet>): readonly Effect[] {
  const pods = byOrdinal(view.owned(Pods));
  if (pods.length === 0) return [done()];
  return pods.some(isDeleting) ? [] : [remove(Pods, pods.at(-1)!)];
}

export const catsets = controller<CatSet>({
  name: 'catset',
  for: CatSets,
  owns: [Pods],
  permissions: [{ type: PersistentVolumeClaims, verbs: ['create'] }],
  reconcile,
  cleanup,
});

export const app = operator({ name: 'catset', controllers: [catsets], definitions: [CatSets.definition] });
