import type { Container, PodSpec } from '@trimtab/machinery';
import fc from 'fast-check';
import { podLimits } from '../container/cgroup.js';
import { allocationOf } from './allocation.js';
import { planOf } from './plan.js';

/** Parts that pods of one template have in common, met in any combination. */
const container = (name: string, cpu: string, more: object = {}): Container => ({
  name,
  image: 'app:1',
  resources: { requests: { cpu }, limits: { cpu, memory: '64Mi' } },
  ...more,
});
const mains = [[container('a', '100m')], [container('a', '1'), container('b', '2')]];
const inits = [undefined, [container('i', '3')], [container('s', '200m', { restartPolicy: 'Always' })]];
const specs: fc.Arbitrary<PodSpec> = fc
  .tuple(
    fc.constantFrom(...mains),
    fc.constantFrom(...inits),
    fc.constantFrom(undefined, [container('e', '1')]),
    fc.constantFrom(undefined, { requests: { cpu: '5' } }),
    fc.constantFrom(undefined, { cpu: '10m' }),
    fc.constantFrom('node-1', 'node-2'),
  )
  .map(([containers, initContainers, ephemeralContainers, resources, overhead, nodeName]) => ({
    containers,
    nodeName,
    ...(initContainers ? { initContainers } : {}),
    ...(ephemeralContainers ? { ephemeralContainers } : {}),
    ...(resources ? { resources } : {}),
    ...(overhead ? { overhead } : {}),
  }));

test('what pods with the very same containers share is what each would have by itself', () => {
  fc.assert(
    fc.property(fc.array(specs, { minLength: 1, maxLength: 12 }), (met) => {
      for (const spec of met)
        for (const answer of [planOf, allocationOf, podLimits])
          expect(answer(spec)).toEqual(answer(structuredClone(spec)));
    }),
    { seed: 20_261_121 },
  );
  const [spec] = fc.sample(specs, 1);
  expect(allocationOf({ ...spec!, nodeName: 'node-3' } as PodSpec)).toBe(allocationOf(spec!));
});
