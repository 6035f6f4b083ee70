import { conflict, invalid, type KubeObject, timestamp } from '@trimtab/machinery';
import type { Registry, RequestContext, Target } from './context.js';
import { updateObject } from './update.js';

interface Binding extends KubeObject {
  readonly target?: { readonly kind?: string; readonly name?: string };
}
interface Condition {
  readonly type: string;
  readonly status: string;
  readonly [field: string]: unknown;
}
interface Pod extends KubeObject {
  readonly spec?: { readonly nodeName?: string; readonly schedulingGates?: readonly object[] };
  readonly status?: { readonly conditions?: readonly Condition[]; readonly nominatedNodeName?: string };
}

/** Puts a pod on a node, once: the scheduler's write (kubernetes: registry/core/pod storage, BindingREST). */
export async function bindPod(
  registry: Registry,
  context: RequestContext,
  target: Target,
  binding: Binding,
  dryRun: boolean,
): Promise<void> {
  const node = binding.target?.name ?? '';
  const kind = binding.target?.kind ?? '';
  const causes = [
    ...(kind && kind !== 'Node'
      ? [
          {
            reason: 'FieldValueNotSupported',
            field: 'target.kind',
            message: `Unsupported value: "${kind}": supported values: "Node", "<empty>"`,
          },
        ]
      : []),
    ...(node ? [] : [{ reason: 'FieldValueRequired', field: 'target.name', message: 'Required value' }]),
  ];
  if (causes.length > 0) throw invalid({ group: '', kind: 'Binding' }, target.name, causes);
  const refuse = (why: string) => conflict({ group: '', resource: 'pods/binding' }, target.name, why);
  const now = timestamp(registry.clock.now());
  await updateObject(
    registry,
    context,
    { ...target, subresource: 'binding' },
    (old) => {
      const pod = old as Pod;
      const { uid, resourceVersion } = binding.metadata;
      if (uid && uid !== pod.metadata.uid)
        throw refuse(`Precondition failed: UID in precondition: ${uid}, UID in object meta: ${pod.metadata.uid}`);
      if (resourceVersion && resourceVersion !== pod.metadata.resourceVersion)
        throw conflict({ group: '', resource: 'pods' }, target.name);
      if (pod.metadata.deletionTimestamp)
        throw refuse(`pod ${target.name} is being deleted, cannot be assigned to a host`);
      if (pod.spec?.nodeName) throw refuse(`pod ${target.name} is already assigned to node "${pod.spec.nodeName}"`);
      if (pod.spec?.schedulingGates?.length) throw refuse(`pod ${target.name} has non-empty .spec.schedulingGates`);
      const scheduled: Condition = {
        type: 'PodScheduled',
        status: 'True',
        lastProbeTime: null,
        lastTransitionTime: now,
      };
      const others = (pod.status?.conditions ?? []).filter((c) => c.type !== 'PodScheduled');
      const { annotations, labels } = binding.metadata;
      // Where it was expected to go is no news once it is somewhere (KEP-5278).
      const { nominatedNodeName: _, ...status } = pod.status ?? {};
      return {
        ...pod,
        metadata: {
          ...pod.metadata,
          ...(annotations ? { annotations: { ...pod.metadata.annotations, ...annotations } } : {}),
          ...(labels ? { labels: { ...pod.metadata.labels, ...labels } } : {}),
        },
        spec: { ...pod.spec, nodeName: node },
        status: { ...status, conditions: [...others, scheduled] },
      } as Pod;
    },
    { dryRun, fieldManager: context.fieldManager },
  );
}
