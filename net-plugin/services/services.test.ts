import type { ServiceSpec } from '@trimtab/machinery';
import fc from 'fast-check';
import { parseNetwork } from '../ipam/address.js';
import type { NftOperation } from '../nft/operations.js';
import { service, slice, type TestEndpoint } from '../testing/objects.js';
import { elementsOf } from './elements.js';
import { ServiceTable } from './service-table.js';

const NODE = { nodeName: 'node-1', localIPs: ['10.96.0.10'] };
const LAYOUT = {
  table: 't',
  clusterNetwork: parseNetwork('10.244.0.0/16'),
  serviceNetwork: parseNetwork('10.96.0.0/16'),
};

const ipOf = (hex: string): string => [0, 2, 4, 6].map((i) => Number.parseInt(hex.slice(i, i + 2), 16)).join('.');
const portOf = (hex: string): number => Number.parseInt(hex.slice(0, 4), 16);
const PROTOCOLS: Readonly<Record<string, string>> = { '06000000': 'tcp', '11000000': 'udp', '84000000': 'sctp' };

/** Elements in words: `endpoints 10.96.0.1 tcp 80 #0 -> 10.244.0.2:8080`. */
function inWords(elements: ReadonlyMap<string, string>): readonly string[] {
  return [...elements].map(([id, data]) => {
    const [set, key = ''] = id.split(' ') as [string, string];
    const frontend = (k: string): string => `${ipOf(k)} ${PROTOCOLS[k.slice(8, 16)]} ${portOf(k.slice(16))}`;
    if (set === 'endpoints')
      return `${frontend(key)} #${Number.parseInt(key.slice(24, 26), 16)} -> ${ipOf(data)}:${portOf(data.slice(8))}`;
    if (set === 'nodeports') return `node ${PROTOCOLS[key.slice(0, 8)]} ${portOf(key.slice(8))}`;
    if (set === 'cluster-ips') return `cluster-ip ${ipOf(key)}`;
    if (set === 'hairpins') return `hairpin ${ipOf(key)}`;
    return `${set === 'closed' ? 'closed' : 'frontend'} ${frontend(key)}`;
  });
}

const words = (
  spec: ServiceSpec,
  endpoints: readonly (string | TestEndpoint)[],
  ports?: Parameters<typeof slice>[2],
): readonly string[] =>
  inWords(elementsOf(service('web', '10.96.0.5', spec), [slice('web', endpoints, ports)], NODE).elements);

describe('the elements of one Service', () => {
  test('a cluster IP with two endpoints', () => {
    expect(words({}, ['10.244.0.3', '10.244.0.2'])).toEqual([
      'cluster-ip 10.96.0.5',
      'frontend 10.96.0.5 tcp 80',
      '10.96.0.5 tcp 80 #0 -> 10.244.0.2:8080',
      'hairpin 10.244.0.2',
      '10.96.0.5 tcp 80 #1 -> 10.244.0.3:8080',
      'hairpin 10.244.0.3',
    ]);
  });

  test('ports meet by name and protocol', () => {
    const spec = {
      ports: [
        { name: 'dns', port: 53, protocol: 'UDP' },
        { name: 'dns-tcp', port: 53 },
      ],
    };
    const ports = [
      { name: 'dns-tcp', port: 5353 },
      { name: 'dns', port: 5300, protocol: 'UDP' },
    ];
    expect(words(spec, ['10.244.0.2'], ports).filter((w) => w.includes('->'))).toEqual([
      '10.96.0.5 udp 53 #0 -> 10.244.0.2:5300',
      '10.96.0.5 tcp 53 #0 -> 10.244.0.2:5353',
    ]);
  });

  test('endpoints that are not ready get nothing, unless no other is left and they still serve while ending', () => {
    const ending = { ip: '10.244.0.4', ready: false, serving: true, terminating: true };
    const to = (endpoints: readonly (string | TestEndpoint)[]): readonly string[] =>
      words({}, endpoints).flatMap((w) => /-> (.*):/.exec(w)?.[1] ?? []);
    expect(to(['10.244.0.2', { ip: '10.244.0.3', ready: false }, ending])).toEqual(['10.244.0.2']);
    expect(to([{ ip: '10.244.0.3', ready: false }, ending])).toEqual(['10.244.0.4']);
    expect(to([{ ...ending, serving: false }])).toEqual([]);
  });

  test('without endpoints the cluster IP is only known, to be refused, and external addresses are closed', () => {
    expect(words({ externalIPs: ['192.0.2.1'] }, [])).toEqual(['cluster-ip 10.96.0.5', 'closed 192.0.2.1 tcp 80']);
  });

  test('node ports and external addresses each have slots of their own', () => {
    const spec = { type: 'NodePort', externalIPs: ['192.0.2.1'], ports: [{ port: 80, nodePort: 30080 }] };
    expect(words(spec, ['10.244.0.2'])).toEqual([
      'cluster-ip 10.96.0.5',
      'frontend 10.96.0.5 tcp 80',
      '10.96.0.5 tcp 80 #0 -> 10.244.0.2:8080',
      'hairpin 10.244.0.2',
      'frontend 192.0.2.1 tcp 80',
      '192.0.2.1 tcp 80 #0 -> 10.244.0.2:8080',
      'node tcp 30080',
      '0.0.0.0 tcp 30080 #0 -> 10.244.0.2:8080',
    ]);
  });

  test('policy Local keeps to the node', () => {
    const endpoints = ['10.244.0.2', { ip: '10.244.1.2', nodeName: 'node-2' }];
    const ports = [{ port: 80, nodePort: 30080 }];
    const targets = (spec: ServiceSpec): readonly string[] =>
      words({ type: 'NodePort', ports, ...spec }, endpoints).flatMap(
        (w) => /(.*) #\d+ -> (.*):/.exec(w)?.slice(1).join(' ') ?? [],
      );
    expect(targets({ externalTrafficPolicy: 'Local' })).toEqual([
      '10.96.0.5 tcp 80 10.244.0.2',
      '10.96.0.5 tcp 80 10.244.1.2',
      '0.0.0.0 tcp 30080 10.244.0.2',
    ]);
    expect(targets({ internalTrafficPolicy: 'Local' })[1]).toBe('0.0.0.0 tcp 30080 10.244.0.2');
  });

  test.each<[string, ServiceSpec]>([
    ['ExternalName', { type: 'ExternalName', externalName: 'x.example', clusterIP: '', clusterIPs: [] }],
    ['headless', { clusterIP: 'None', clusterIPs: ['None'] }],
    ['IPv6 only', { clusterIP: 'fd00::1', clusterIPs: ['fd00::1'] }],
    ['the cluster DNS, which the node answers itself', { clusterIP: '10.96.0.10', clusterIPs: ['10.96.0.10'] }],
  ])('%s puts nothing into the kernel', (_, spec) => {
    expect(words(spec, ['10.244.0.2']).filter((w) => !w.startsWith('hairpin'))).toEqual([]);
  });

  test('affinity: shares are about even, and taking one endpoint away moves only its own clients', () => {
    const all = ['10.244.0.2', '10.244.0.3', '10.244.0.4', '10.244.0.5'];
    const slots = (ips: readonly string[]): readonly string[] =>
      words({ sessionAffinity: 'ClientIP' }, ips).flatMap((w) => /-> (.*):/.exec(w)?.[1] ?? []);
    const before = slots(all);
    const after = slots(all.slice(1));
    expect(before).toHaveLength(120);
    for (const ip of all) {
      expect(before.filter((x) => x === ip).length).toBeGreaterThan(15);
      expect(before.filter((x) => x === ip).length).toBeLessThan(50);
    }
    before.forEach((ip, slot) => {
      if (ip !== all[0]) expect(after[slot]).toBe(ip);
    });
  });
});

/** What the kernel would hold after these operations; throws where the kernel would refuse. */
class Kernel {
  readonly sets = new Map<string, Map<string, string>>();
  readonly chains = new Set<string>();

  apply(operations: readonly NftOperation[]): void {
    for (const o of operations) {
      if (o.op === 'reset-table') this.sets.clear();
      else if (o.op === 'set') this.sets.set(o.name, new Map());
      else if (o.op === 'chain') this.chains.add(o.name);
      else if (o.op === 'rule') expect(this.chains).toContain(o.name);
      else if (o.op === 'add' || o.op === 'delete') {
        const set = this.sets.get(o.name);
        if (!set) throw new Error(`no set ${o.name}`);
        for (const element of o.elements) {
          const [key = '', data = ''] = element.split(' ');
          if (o.op === 'delete' && !set.delete(key)) throw new Error(`ENOENT ${key}`);
          if (o.op === 'add') {
            if (set.has(key) && set.get(key) !== data) throw new Error(`EEXIST ${key}`);
            set.set(key, data);
          }
        }
      }
    }
  }

  contents(): unknown {
    return [...this.sets].filter(([name]) => name !== 'groups').map(([name, set]) => [name, [...set].sort()]);
  }
}

describe('the table', () => {
  const fresh = (): { table: ServiceTable; kernel: Kernel } => {
    const table = new ServiceTable(LAYOUT);
    const kernel = new Kernel();
    for (const batch of table.rebuild()) kernel.apply(batch);
    return { table, kernel };
  };

  test('a change of one endpoint among many Services touches that Service alone', () => {
    const { table, kernel } = fresh();
    const updates = new Map(
      Array.from({ length: 50 }, (_, i) => {
        const object = service(`s${i}`, `10.96.1.${i}`);
        return [`default/s${i}`, elementsOf(object, [slice(`s${i}`, ['10.244.0.2', '10.244.0.3'])], NODE)];
      }),
    );
    kernel.apply(table.change(updates).operations);
    const next = elementsOf(service('s7', '10.96.1.7'), [slice('s7', ['10.244.0.2', '10.244.0.4'])], NODE);
    const change = table.change(new Map([['default/s7', next]]));
    kernel.apply(change.operations);
    expect(change.operations.map((o) => [o.op, 'elements' in o ? o.elements.length : 0])).toEqual([
      ['delete', 1],
      ['add', 1],
      ['add', 1],
    ]);
    expect(change.removed.map((r) => r.set)).toEqual(['endpoints']);
  });

  test('of two Services with one node port the first keeps it, and the second gets it when the first goes', () => {
    const { table, kernel } = fresh();
    const spec = { type: 'NodePort', ports: [{ port: 80, nodePort: 30000 }] };
    const of = (name: string, ip: string, target: string): ReturnType<typeof elementsOf> =>
      elementsOf(service(name, ip, spec), [slice(name, [target])], NODE);
    kernel.apply(table.change(new Map([['a', of('a', '10.96.0.1', '10.244.0.2')]])).operations);
    kernel.apply(table.change(new Map([['b', of('b', '10.96.0.2', '10.244.0.3')]])).operations);
    const target = (): string => ipOf(kernel.sets.get('endpoints')!.get('00000000060000007530000000000000')!);
    expect(target()).toBe('10.244.0.2');
    kernel.apply(table.change(new Map([['a', undefined]])).operations);
    expect(target()).toBe('10.244.0.3');
  });

  test('whatever changes in whatever order, the kernel accepts it and holds what a full load would give', () => {
    const ips = ['10.244.0.2', '10.244.0.3', '10.244.0.4', '10.244.0.5'];
    const step = fc.record({
      index: fc.nat(4),
      present: fc.boolean(),
      targets: fc.subarray(ips),
      nodePort: fc.option(fc.constantFrom(30000, 30001), { nil: undefined }),
      sticky: fc.boolean(),
      sameIP: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(fc.array(step, { minLength: 1, maxLength: 3 }), { maxLength: 12 }), (rounds) => {
        const { table, kernel } = fresh();
        for (const round of rounds) {
          const updates = new Map(
            round.map(({ index, present, targets, nodePort, sticky, sameIP }) => {
              const object = service(`s${index}`, sameIP ? '10.96.0.1' : `10.96.0.${index + 2}`, {
                type: 'NodePort',
                ...(sticky ? { sessionAffinity: 'ClientIP' } : {}),
                ports: [{ port: 80, ...(nodePort ? { nodePort } : {}) }],
              });
              const next = present ? elementsOf(object, [slice(`s${index}`, targets)], NODE) : undefined;
              return [`s${index}`, next] as const;
            }),
          );
          kernel.apply(table.change(updates).operations);
        }
        const reloaded = new Kernel();
        for (const batch of table.rebuild()) reloaded.apply(batch);
        expect(kernel.contents()).toEqual(reloaded.contents());
      }),
      { numRuns: 60 },
    );
  });
});
