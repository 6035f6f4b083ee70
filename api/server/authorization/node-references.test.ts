import type { Pod, PodSpec } from '@trimtab/machinery';
import fc from 'fast-check';
import { NodeReferences, podReferences } from './node-references.js';

/** Templates whose parts are the very same objects in many pods, as those of a ReplicaSet are. */
const containers = [
  [{ name: 'a', envFrom: [{ secretRef: { name: 's1' } }] }],
  [{ name: 'b', env: [{ name: 'X', valueFrom: { configMapKeyRef: { name: 'm1', key: 'k' } } }] }],
];
const volumes = [
  undefined,
  [{ name: 'v', configMap: { name: 'm2' } }],
  [{ name: 'v', ephemeral: { volumeClaimTemplate: { spec: {} } } }],
];
const specs: fc.Arbitrary<PodSpec> = fc
  .tuple(
    fc.constantFrom(...containers),
    fc.constantFrom(...volumes),
    fc.constantFrom(undefined, 'robot'),
    fc.constantFrom(undefined, 'n1', 'n2'),
  )
  .map(([c, v, serviceAccountName, nodeName]) => ({
    containers: c,
    ...(v ? { volumes: v } : {}),
    ...(serviceAccountName ? { serviceAccountName } : {}),
    ...(nodeName ? { nodeName } : {}),
  }));
const changes = fc.array(
  fc.record({
    namespace: fc.constantFrom('x', 'y'),
    name: fc.constantFrom('p', 'q', 'r'),
    // The same specification again, as a write to the status leaves it; another; or none: the pod has gone.
    what: fc.constantFrom('again', 'other', 'other', 'gone'),
    spec: specs,
  }),
  { maxLength: 30 },
);

test('a node may read what the pods bound to it name now, whatever they and others named before', () => {
  fc.assert(
    fc.property(changes, (all) => {
      const references = new NodeReferences();
      const pods = new Map<string, Pod>();
      for (const { namespace, name, what, spec } of all) {
        const key = `${namespace}/${name}`;
        const before = pods.get(key);
        if (what === 'gone') {
          pods.delete(key);
          references.apply({ resource: '/pods', key });
          continue;
        }
        const object: Pod = {
          metadata: { namespace, name },
          spec: what === 'again' && before?.spec ? before.spec : spec,
        };
        pods.set(key, object);
        references.apply({ resource: '/pods', key, object });
      }
      const named = new Set<string>();
      for (const { metadata, spec } of pods.values())
        for (const ref of podReferences({ metadata, ...(spec ? { spec } : {}) }))
          if (spec?.nodeName) named.add(`${spec.nodeName} ${ref.replace('/', `/${metadata.namespace}/`)}`);
      for (const node of ['n1', 'n2'])
        for (const namespace of ['x', 'y'])
          for (const [resource, ...names] of [
            ['pods', 'p', 'q', 'r'],
            ['secrets', 's1'],
            ['configmaps', 'm1', 'm2'],
            ['serviceaccounts', 'default', 'robot'],
            ['persistentvolumeclaims', 'p-v', 'q-v', 'r-v'],
          ] as const)
            for (const name of names)
              expect([name, references.mayRead(node, resource, namespace, name)]).toEqual([
                name,
                named.has(`${node} ${resource}/${namespace}/${name}`),
              ]);
    }),
    { seed: 20_261_121 },
  );
});
