import { type KubeObject, StatusError, seededRandom } from '@trimtab/machinery';
import { createBuiltinStrategies } from './index.js';
import { ServiceAllocator } from './service-allocator.js';
import { create, make, texts, update } from './testing.js';

describe('Services get addresses and ports', () => {
  const world = (serviceCIDR = '10.96.0.0/24', nodePorts = { from: 30000, to: 30003 }) => {
    const allocator = new ServiceAllocator({ serviceCIDR, nodePorts, random: seededRandom(3) });
    const strategy = createBuiltinStrategies({ services: allocator })['/services']!;
    type Spec = { clusterIP: string; clusterIPs: string[]; ports: { nodePort?: number }[]; ipFamilies: string[] };
    const write = (name: string, spec: object, old?: KubeObject, stored = true): KubeObject & { spec: Spec } => {
      const given = make({ spec: { ports: [{ port: 80 }], ...spec } }, name);
      const { object } = old ? update(strategy, given, old) : create(strategy, given);
      const reservation = strategy.reserve!(object, old);
      reservation.finish(stored);
      if (stored) allocator.apply({ resource: '/services', key: `default/${name}`, object: reservation.object });
      return reservation.object as KubeObject & { spec: Spec };
    };
    const remove = (name: string) => allocator.apply({ resource: '/services', key: `default/${name}` });
    return { allocator, strategy, write, remove };
  };
  const refusal = (run: () => unknown): string => {
    try {
      run();
      return '';
    } catch (error) {
      return error instanceof StatusError ? error.message : String(error);
    }
  };

  test('each its own, in range, and kept over an update that does not name it', () => {
    const { write, allocator, strategy } = world();
    expect(allocator.firstAddress).toBe('10.96.0.1');
    const seen = new Set(Array.from({ length: 100 }, (_, i) => write(`s${i}`, {}).spec.clusterIP));
    expect(seen.size).toBe(100);
    expect([...seen].every((ip) => allocator.inRange(ip))).toBe(true);
    const one = write('one', { type: 'NodePort' });
    expect(one.spec).toMatchObject({
      clusterIPs: [one.spec.clusterIP],
      ipFamilies: ['IPv4'],
      ipFamilyPolicy: 'SingleStack',
    });
    const again = write('one', { type: 'NodePort', selector: { a: 'b' } }, one);
    expect([again.spec.clusterIP, again.spec.ports[0]!.nodePort]).toEqual([
      one.spec.clusterIP,
      one.spec.ports[0]!.nodePort,
    ]);
    const inside = write('one', {}, again);
    expect(inside.spec.ports[0]!.nodePort).toBeUndefined();
    expect(texts(strategy.validateUpdate!(inside, again, ''))).toEqual([]);
    const moved = { ...inside, spec: { ...inside.spec, clusterIP: '10.96.0.250', clusterIPs: ['10.96.0.250'] } };
    expect(texts(strategy.validateUpdate!(moved as KubeObject, again, ''))[0]).toBe(
      'spec.clusterIPs[0]: Invalid value: ["10.96.0.250"]: may not change once set',
    );
    const sameName = (spec: object, old: KubeObject) =>
      write('one', { ...(old as { spec?: object }).spec, ...spec }, old);
    const balanced = sameName({ type: 'LoadBalancer' }, inside);
    const outside = sameName({ type: 'ExternalName', externalName: 'a.b' }, balanced);
    expect(texts(strategy.validateUpdate!(outside, balanced, ''))).toEqual([]);
    expect(Object.keys(outside.spec).sort()).toEqual(['externalName', 'ports', 'sessionAffinity', 'type']);
    expect(outside.spec.ports[0]!.nodePort).toBeUndefined();
    expect(sameName({ type: 'ClusterIP', externalName: undefined }, outside).spec.clusterIP).toMatch(/^10\.96\.0\./);
    expect(write('head', { clusterIP: 'None' }).spec).toMatchObject({ clusterIP: 'None', clusterIPs: ['None'] });
    expect(write('ext', { type: 'ExternalName', externalName: 'a.b' }).spec.clusterIP).toBeUndefined();
  });

  test('affinity that is switched off takes along how long it lasts', () => {
    const { write } = world();
    const sticky = write('s', {
      sessionAffinity: 'ClientIP',
      sessionAffinityConfig: { clientIP: { timeoutSeconds: 5 } },
    });
    const loose = write('s', { ...(sticky as { spec: object }).spec, sessionAffinity: 'None' }, sticky);
    expect(loose.spec).toMatchObject({ sessionAffinity: 'None' });
    expect(loose.spec).not.toHaveProperty('sessionAffinityConfig');
    expect(write('t', { sessionAffinity: 'None', sessionAffinityConfig: {} }).spec).not.toHaveProperty(
      'sessionAffinityConfig',
    );
  });

  test('taken, foreign and exhausted are refused; failed writes and deletions give back', () => {
    const { write, remove } = world();
    write('a', { clusterIP: '10.96.0.9' });
    expect(refusal(() => write('b', { clusterIP: '10.96.0.9' }))).toBe(
      'Service "b" is invalid: spec.clusterIPs: Invalid value: ["10.96.0.9"]: failed to allocate IP 10.96.0.9: provided IP is already allocated',
    );
    expect(refusal(() => write('b', { clusterIP: '10.1.0.9' }))).toContain('does not match the current range');
    expect(refusal(() => write('b', { type: 'NodePort', ports: [{ port: 1, nodePort: 80 }] }))).toContain(
      'The range of valid ports is 30000-30003',
    );
    remove('a');
    write('b', { clusterIP: '10.96.0.9' }, undefined, false);
    expect(write('c', { clusterIP: '10.96.0.9' }).spec.clusterIP).toBe('10.96.0.9');
    for (let i = 0; i < 4; i++) write(`n${i}`, { type: 'NodePort' });
    expect(refusal(() => write('n4', { type: 'NodePort' }))).toContain('range is full');
    remove('n2');
    expect(write('n4', { type: 'NodePort' }).spec.ports[0]!.nodePort).toBeGreaterThanOrEqual(30000);
    expect(refusal(() => new ServiceAllocator({ serviceCIDR: '10.0.0.0', random: seededRandom(1) }))).toContain(
      'not an IPv4 range',
    );
  });

  test('families follow the addresses; this cluster has IPv4 alone', () => {
    const { write } = world();
    expect(write('open', { clusterIP: 'None' }).spec).toMatchObject({
      ipFamilies: ['IPv4', 'IPv6'],
      ipFamilyPolicy: 'RequireDualStack',
    });
    expect(write('closed', { clusterIP: 'None', selector: { a: 'b' } }).spec).toMatchObject({
      ipFamilies: ['IPv4'],
      ipFamilyPolicy: 'SingleStack',
    });
    expect(write('either', { ipFamilyPolicy: 'PreferDualStack' }).spec.ipFamilies).toEqual(['IPv4']);
    expect(refusal(() => write('six', { clusterIP: 'fd00::1' }))).toBe(
      'Service "six" is invalid: spec.ipFamilies[0]: Invalid value: "IPv6": not configured on this cluster',
    );
    expect(refusal(() => write('both', { ipFamilies: ['IPv4', 'IPv6'] }))).toContain(
      "spec.ipFamilyPolicy: Invalid value: null: must be 'RequireDualStack' or 'PreferDualStack' when multiple IP families are specified",
    );
    expect(refusal(() => write('must', { ipFamilyPolicy: 'RequireDualStack' }))).toBe(
      'Service "must" is invalid: spec.ipFamilyPolicy: Invalid value: "RequireDualStack": this cluster is not configured for dual-stack services',
    );
  });
});
