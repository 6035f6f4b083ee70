import type { Network } from '../ipam/address.js';
import * as x from '../nft/expressions.js';
import { declareSet, type Expression, Hook, type NftOperation } from '../nft/operations.js';

/**
 * The pods' table: what leaves the cluster is masqueraded, host ports lead to pods, and loopback stays loopback. Declaring it
 * again keeps the host ports of pods that live: rules are replaced, elements stay.
 *
 *   hostports   address . protocol . port → address . port     (address 0.0.0.0: any address of the node)
 *   hairpins    address . address          pods that may reach themselves through their host port
 */
export interface PodsLayout {
  readonly table: string;
  readonly podNetwork: Network;
  readonly clusterNetwork: Network;
}

export const ANY_ADDRESS = '0.0.0.0';
const LOOPBACK: Network = { base: 0x7f000000, prefix: 8, size: 2 ** 24 };

export function declarePodsTable({ table, podNetwork, clusterNetwork }: PodsLayout): readonly NftOperation[] {
  const base = (name: string, type: 'nat' | 'filter', hook: number, priority: number): readonly NftOperation[] => [
    { op: 'chain', table, name, type, hook, priority },
    { op: 'flush-chain', table, name },
  ];
  const rule = (name: string, ...expressions: readonly Expression[]): NftOperation => ({
    op: 'rule',
    table,
    name,
    expressions,
  });
  const toPod = (chain: string): readonly NftOperation[] =>
    [x.loadDestination(0), x.loadConstant(0, '00000000')].map((load) =>
      rule(
        chain,
        ...x.destinationIsLocal(0),
        load,
        x.loadProtocol(1),
        x.loadDestinationPort(2),
        x.lookup('hostports', 0, 4),
        x.destinationNat(4),
      ),
    );
  return [
    { op: 'table', table },
    declareSet(table, 'hostports', ['address', 'protocol', 'port'], ['address', 'port']),
    declareSet(table, 'hairpins', ['address', 'address']),
    ...base('raw-prerouting', 'filter', Hook.prerouting, -300),
    // Ahead of the services: a host port is narrower than a node port.
    ...base('nat-prerouting', 'nat', Hook.prerouting, -101),
    ...base('nat-output', 'nat', Hook.output, -101),
    ...base('nat-postrouting', 'nat', Hook.postrouting, 99),
    // Node and host ports on 127.0.0.1 need route_localnet, which alone would open the node's loopback to every pod.
    rule('raw-prerouting', ...x.comesInByOther('lo', 0), ...x.destinationWithin(LOOPBACK, 0), x.drop),
    ...toPod('nat-prerouting'),
    ...toPod('nat-output'),
    rule('nat-postrouting', x.loadSource(0), x.loadDestination(1), x.isIn('hairpins', 0), x.masquerade),
    rule('nat-postrouting', ...x.goesOutByOther('lo', 0), ...x.sourceWithin(LOOPBACK, 0), x.masquerade),
    rule(
      'nat-postrouting',
      ...x.goesOutByOther('lo', 0),
      ...x.sourceWithin(podNetwork, 0),
      ...x.destinationOutside(clusterNetwork, 0),
      x.masquerade,
    ),
  ];
}
