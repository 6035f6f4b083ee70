import type { PodSpec } from '@trimtab/machinery';
import fc from 'fast-check';
import { Held } from './held.js';
import { podRequest } from './qos.js';

const uids = ['a', 'b', 'c', 'd'];
const spec = fc
  .record({ cpu: fc.integer({ min: 0, max: 4000 }), memory: fc.integer({ min: 0, max: 1 << 30 }) })
  .map(
    ({ cpu, memory }) =>
      ({ containers: [{ name: 'c', resources: { requests: { cpu: `${cpu}m`, memory: String(memory) } } }] }) as PodSpec,
  );
const step = fc.tuple(fc.constantFrom(...uids), fc.option(spec, { nil: undefined }));

test('what is beside a pod is the sum of the others, whoever came, was resized or went in between', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      const held = new Held();
      const now = new Map<string, PodSpec>();
      for (const [uid, becomes] of steps) {
        if (becomes) {
          held.set(uid, becomes);
          now.set(uid, becomes);
        } else {
          held.delete(uid);
          now.delete(uid);
        }
        for (const own of uids) {
          const others = [...now].flatMap(([other, spec]) => (other === own ? [] : [spec]));
          const beside = held.beside(own);
          expect(beside.count).toBe(others.length);
          expect(new Set(beside.specs())).toEqual(new Set(others));
          for (const resource of ['cpu', 'memory'])
            expect(beside.requested(resource)).toBe(others.reduce((sum, s) => sum + podRequest(s, resource), 0));
        }
      }
    }),
  );
});
