import { decodeTyped, type Pod, type PodSpec, Pods } from '@trimtab/machinery';
import fc from 'fast-check';
import { accounts, cluster } from '../bootstrap/testing.js';
import { builtinKinds } from './builtin-kinds.js';
import { trackUpdate } from './ownership.js';
import type { Causes } from './strategies/checks.js';
import { createBuiltinStrategies } from './strategies/index.js';
import { validatePodSpec } from './strategies/pod-validation.js';

/** What is worked out once for pods of one template is what would be worked out for each of them. */

const kind = builtinKinds({ strategies: createBuiltinStrategies() })
  .kinds()
  .find(({ resource, version }) => resource === 'pods' && version === 'v1')!;
const { strategy } = kind;
const seed = 20_261_121;
const context = { now: 0, user: { name: 'u', groups: [] } };

const maybe = <T>(name: string, value: fc.Arbitrary<T>) =>
  fc.option(value, { nil: undefined, freq: 2 }).map((v) => (v === undefined ? {} : { [name]: v }));
const joined = (...parts: readonly fc.Arbitrary<object>[]) =>
  fc.tuple(...parts).map((all) => Object.assign({}, ...all));
const name = fc.constantFrom('a', 'b', 'web', '', 'Not A Name');
const amount = fc.constantFrom('100m', '1', '0.5', '64Mi', '-1', 'many');
const amounts = joined(maybe('cpu', amount), maybe('memory', amount));
const container = joined(
  name.map((n) => ({ name: n })),
  maybe('image', fc.constantFrom('app', 'app:1', 'app:latest', '')),
  maybe('resources', joined(maybe('limits', amounts), maybe('requests', amounts))),
  maybe('ports', fc.array(joined(maybe('containerPort', fc.constantFrom(80, 0, 70_000)), maybe('name', name)))),
  maybe('volumeMounts', fc.array(fc.constantFrom({ name: 'data', mountPath: '/data' }, { name: 'no', mountPath: '' }))),
  maybe('unknownField', fc.boolean()),
);
const claim = { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } };
const volume = joined(
  fc.constantFrom({ name: 'data' }, { name: 'x' }),
  fc.constantFrom(
    {},
    { emptyDir: {} },
    { hostPath: { path: '/tmp' } },
    { ephemeral: { volumeClaimTemplate: { spec: claim } } },
  ),
);
const specs = joined(
  fc.array(container, { maxLength: 3 }).map((containers) => ({ containers })),
  maybe('initContainers', fc.array(container, { maxLength: 2 })),
  maybe('volumes', fc.array(volume, { maxLength: 2 })),
  maybe('hostNetwork', fc.boolean()),
  maybe('restartPolicy', fc.constantFrom('Always', 'Never', 'Sometimes')),
  maybe('schedulingGates', fc.constant([{ name: 'wait' }])),
  maybe('nodeSelector', fc.constantFrom({ 'beta.kubernetes.io/os': 'linux' }, { disk: 'ssd' })),
) as fc.Arbitrary<unknown> as fc.Arbitrary<PodSpec>;

/** Mostly right as they are. */
const goodSpecs = joined(
  fc.uniqueArray(fc.constantFrom('a', 'b', 'web'), { minLength: 1, maxLength: 2 }).map((names) => ({
    containers: names.map((n) => ({ name: n, image: 'app:1', terminationMessagePolicy: 'File' })),
  })),
  maybe('volumes', fc.array(volume, { maxLength: 1 })),
  maybe('restartPolicy', fc.constantFrom('Always', 'Never')),
  maybe('schedulingGates', fc.constant([{ name: 'wait' }])),
) as fc.Arbitrary<unknown> as fc.Arbitrary<PodSpec>;

const podOf = (spec: PodSpec, called: string): Pod => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: called, namespace: 'default', labels: { app: 'a' } },
  spec,
});
const copyOf = <T>(value: T): T => structuredClone(value);
const writer = { manager: 'm', now: 0, subresource: '' };

/** All that is asked of a new pod's specification. */
function outcome(given: Pod) {
  const { value, unknown, errors } = decodeTyped<Pod>(kind.schema, given);
  if (errors.length > 0) return { unknown, errors, causes: [] };
  const pod = strategy.prepareForCreate!(strategy.default!(value), context) as Pod;
  const managed = trackUpdate(kind, undefined, pod, writer);
  return { unknown, pod, managed, causes: strategy.validate!(pod), warnings: strategy.warnings!(pod) };
}

test('siblings come out as if each had a specification of its own', () => {
  fc.assert(
    fc.property(fc.oneof(specs, goodSpecs), (spec) => {
      for (const called of ['first', 'second', 'x'.repeat(250)]) {
        const found = outcome(podOf(spec, called));
        expect(found).toEqual(outcome(podOf(copyOf(spec), called)));
        if (!found.pod?.spec) continue;
        const causes: Causes = [];
        validatePodSpec(copyOf(found.pod.spec), 'spec', causes, called);
        expect(found.causes).toEqual(causes);
      }
    }),
    { seed, numRuns: 200 },
  );
});

test('a binding that is not judged anew is one that would have been found right', () => {
  let placed = 0;
  const nodes = fc.constantFrom('node-1', 'a.b', '', 'Not A Node');
  const changes = fc.constantFrom({}, {}, { hostNetwork: true }, { priority: 1 });
  fc.assert(
    fc.property(goodSpecs, nodes, changes, (spec, nodeName, change) => {
      const { value, errors } = decodeTyped<Pod>(kind.schema, podOf(spec, 'web'));
      if (errors.length > 0) return;
      const old = strategy.default!(value) as Pod;
      if (strategy.validate!(old).length > 0) return;
      const now: Pod = { ...old, spec: { ...old.spec!, nodeName, ...change } };
      if (!strategy.placed!(now, old)) {
        const { nodeName: _, ...rest } = now.spec!;
        const { nodeName: __, ...before } = old.spec!;
        const wrong = nodeName === '' || nodeName === 'Not A Node' || old.spec!.schedulingGates !== undefined;
        if (!wrong) expect(rest).not.toEqual(before);
        return;
      }
      placed++;
      const copy = copyOf(now);
      expect(strategy.default!(copy)).toEqual(now);
      expect(strategy.validateUpdate!(copy, copyOf(old), 'binding')).toEqual([]);
    }),
    { seed, numRuns: 1000 },
  );
  expect(placed).toBeGreaterThan(50);
});

test('pods of one template share what they are made of, until their account changes', async () => {
  const { root: client } = await cluster();
  const spec: PodSpec = { containers: [{ name: 'main', image: 'app:1' }] };
  const make = async (called: string) => (await client.create(Pods, podOf(spec, called))).spec!;
  const [one, two] = [await make('one'), await make('two')];
  expect(one.volumes?.[0]?.name).toMatch(/^kube-api-access-/);
  expect(two).toBe(one);
  const account = { namespace: 'default', name: 'default' };
  await client.patch(accounts, account, { type: 'merge', body: { automountServiceAccountToken: false } });
  const three = await make('three');
  expect(three.volumes).toBeUndefined();
  expect(three).not.toBe(one);
});
