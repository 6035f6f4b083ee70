import type { Network } from '../ipam/address.js';
import { native } from '../nft/encode.js';
import * as x from '../nft/expressions.js';
import { declareSet, type Expression, Hook, type NftOperation } from '../nft/operations.js';

/**
 * The services' table: constant rules, and everything that changes in sets and maps. No chain or rule per service.
 *
 *   frontends   address . protocol . port         → group
 *   nodeports   protocol . port                   → group
 *   groups      group                             → goto the chain that picks a slot
 *   endpoints   address . protocol . port . slot  → address . port      (address 0.0.0.0 for node ports)
 *   cluster-ips, closed                           what is refused when no frontend took it
 *   hairpins    address . address                 endpoints that may reach themselves through a service
 *
 * A group says how many slots there are and how one is picked. It is a number that passes through the packet's mark, not a
 * verdict stored with the frontend: the kernel walks the whole table again whenever an element that names a chain is added.
 * Only the first packet of a connection to a service loses the mark it had.
 */
export interface Group {
  /** 0: connections are dropped. */
  readonly slots: number;
  /** By the client's address rather than by chance. */
  readonly sticky: boolean;
  /** Keyed by protocol and port alone. */
  readonly nodePort: boolean;
  /** The endpoint sees an address of this node instead of the client's. */
  readonly masquerade: boolean;
}

export const MASQUERADE_BIT = 0x4000;
export const NODE_PORT_ADDRESS = '0.0.0.0';

/** Distinguishes our group numbers from marks others put on packets. */
const GROUP_TAG = 0x54000000;

export const groupNumber = (g: Group): number =>
  GROUP_TAG | g.slots | (g.sticky ? 1 << 16 : 0) | (g.nodePort ? 1 << 17 : 0) | (g.masquerade ? 1 << 18 : 0);

const groupOf = (n: number): Group => ({
  slots: n & 0xffff,
  sticky: (n & (1 << 16)) !== 0,
  nodePort: (n & (1 << 17)) !== 0,
  masquerade: (n & (1 << 18)) !== 0,
});

export const chainOf = (n: number): string => {
  const g = groupOf(n);
  if (g.slots === 0) return 'drop';
  return `${g.nodePort ? 'node-' : ''}${g.sticky ? 'stick' : 'pick'}-${g.slots}${g.masquerade ? '-masquerade' : ''}`;
};

/** The chain of one group and its entry in the group map; for groups not present yet. */
export function declareGroup({ table, clusterNetwork }: Layout, n: number): readonly NftOperation[] {
  const group = groupOf(n);
  const name = chainOf(n);
  const rule = (...expressions: readonly Expression[]): NftOperation => ({ op: 'rule', table, name, expressions });
  const mark = (value: number): readonly Expression[] => [x.loadConstant(0, native(value)), x.setMark(0)];
  const fromOutside: readonly Expression[] = [
    ...x.sourceOutside(clusterNetwork, 0),
    x.loadDestination(0),
    x.isIn('cluster-ips', 0),
    ...mark(MASQUERADE_BIT),
  ];
  const pick: readonly Expression[] = [
    group.nodePort ? x.loadConstant(0, '00000000') : x.loadDestination(0),
    x.loadProtocol(1),
    x.loadDestinationPort(2),
    ...(group.sticky ? [x.loadSource(4), x.hash(4, group.slots, 3)] : [x.random(group.slots, 3)]),
    x.lookup('endpoints', 0, 4),
    x.destinationNat(4),
  ];
  return [
    { op: 'chain', table, name },
    rule(...mark(group.masquerade ? MASQUERADE_BIT : 0)),
    ...(group.masquerade || group.nodePort ? [] : [rule(...fromOutside)]),
    rule(...(group.slots === 0 ? [x.drop] : pick)),
    { op: 'add', table, name: 'groups', elements: [`${native(n)} >${name}`] },
  ];
}

export interface Layout {
  readonly table: string;
  /** Where pods live: sources outside of it are masqueraded when they use a cluster IP. */
  readonly clusterNetwork: Network;
  /** Whatever of it no Service has is refused rather than sent anywhere. */
  readonly serviceNetwork: Network;
}

/** Empties the table and declares everything constant; part of the transaction that fills it again. */
export function declareTable({ table, serviceNetwork }: Layout): readonly NftOperation[] {
  const base = (name: string, type: 'nat' | 'filter', hook: number, priority: number): NftOperation => ({
    op: 'chain',
    table,
    name,
    type,
    hook,
    priority,
  });
  const rule = (name: string, ...expressions: readonly Expression[]): NftOperation => ({
    op: 'rule',
    table,
    name,
    expressions,
  });
  const frontendKey = [x.loadDestination(0), x.loadProtocol(1), x.loadDestinationPort(2)];
  const refused: readonly (readonly Expression[])[] = [
    [...x.destinationWithin(serviceNetwork, 0), ...x.destinationIsElsewhere(0)],
    [x.loadDestination(0), x.isIn('cluster-ips', 0)],
    [...frontendKey, x.isIn('closed', 0)],
  ];
  const refuse = (chain: string): readonly NftOperation[] =>
    refused.flatMap((match) =>
      x.refusals(...x.connectionIsNew(0), ...match).map((expressions) => rule(chain, ...expressions)),
    );
  return [
    { op: 'reset-table', table },
    declareSet(table, 'frontends', ['address', 'protocol', 'port'], ['mark']),
    declareSet(table, 'nodeports', ['protocol', 'port'], ['mark']),
    declareSet(table, 'groups', ['mark'], 'verdict'),
    declareSet(table, 'endpoints', ['address', 'protocol', 'port', 'mark'], ['address', 'port']),
    declareSet(table, 'cluster-ips', ['address']),
    declareSet(table, 'closed', ['address', 'protocol', 'port']),
    declareSet(table, 'hairpins', ['address', 'address']),
    { op: 'chain', table, name: 'services' },
    base('nat-prerouting', 'nat', Hook.prerouting, -100),
    base('nat-output', 'nat', Hook.output, -100),
    base('nat-postrouting', 'nat', Hook.postrouting, 100),
    base('filter-forward', 'filter', Hook.forward, 0),
    base('filter-output', 'filter', Hook.output, 0),
    rule('nat-prerouting', x.jump('services')),
    rule('nat-output', x.jump('services')),
    rule('services', ...frontendKey, x.lookup('frontends', 0, 4), x.setMark(4)),
    rule(
      'services',
      ...x.destinationIsLocal(0),
      x.loadProtocol(0),
      x.loadDestinationPort(1),
      x.lookup('nodeports', 0, 4),
      x.setMark(4),
    ),
    rule('services', x.loadMark(0), x.dispatch('groups', 0)),
    rule('nat-postrouting', ...x.hasMarkBit(MASQUERADE_BIT, 0), x.masquerade),
    rule('nat-postrouting', x.loadSource(0), x.loadDestination(1), x.isIn('hairpins', 0), x.masquerade),
    ...refuse('filter-forward'),
    ...refuse('filter-output'),
  ];
}
