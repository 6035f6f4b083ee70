import { formatIPv4, type Network } from '../ipam/address.js';
import { address, native } from './encode.js';
import type { Expression } from './operations.js';

/**
 * Rule expressions over 32-bit registers 0 to 15 (`r`). A lookup or comparison that does not match ends the rule.
 * Numbers of attributes and keys: linux/netfilter/nf_tables.h.
 */
const reg = (r: number): number => 8 + r;
const VERDICT_REGISTER = 0;

const payload = (base: number, offset: number, length: number, r: number): Expression => ({
  name: 'payload',
  attributes: [
    [1, reg(r)],
    [2, base],
    [3, offset],
    [4, length],
  ],
});
const NETWORK_HEADER = 1;
const TRANSPORT_HEADER = 2;

export const loadSource = (r: number): Expression => payload(NETWORK_HEADER, 12, 4, r);
export const loadDestination = (r: number): Expression => payload(NETWORK_HEADER, 16, 4, r);
export const loadDestinationPort = (r: number): Expression => payload(TRANSPORT_HEADER, 2, 2, r);

const loadMeta = (key: number, r: number): Expression => ({
  name: 'meta',
  attributes: [
    [2, key],
    [1, reg(r)],
  ],
});
export const loadProtocol = (r: number): Expression => loadMeta(16, r);

const compare = (op: number, r: number, data: string): Expression => ({
  name: 'cmp',
  attributes: [
    [1, reg(r)],
    [2, op],
    [3, { data }],
  ],
});
export const equals = (r: number, data: string): Expression => compare(0, r, data);
export const differs = (r: number, data: string): Expression => compare(1, r, data);

const mask = (from: number, to: number, and: string, xor: string): Expression => ({
  name: 'bitwise',
  attributes: [
    [1, reg(from)],
    [2, reg(to)],
    [3, 4],
    [4, { data: and }],
    [5, { data: xor }],
  ],
});

export const lookup = (set: string, r: number, to: number): Expression => ({
  name: 'lookup',
  attributes: [
    [1, { str: set }],
    [2, reg(r)],
    [3, reg(to)],
  ],
});
export const isIn = (set: string, r: number): Expression => ({
  name: 'lookup',
  attributes: [
    [1, { str: set }],
    [2, reg(r)],
  ],
});
/** Goes where the verdict map says. */
export const dispatch = (map: string, r: number): Expression => ({
  name: 'lookup',
  attributes: [
    [1, { str: map }],
    [2, reg(r)],
    [3, VERDICT_REGISTER],
  ],
});

export const loadConstant = (r: number, data: string): Expression => ({
  name: 'immediate',
  attributes: [
    [1, reg(r)],
    [2, { data }],
  ],
});
const verdict = (code: number, chain?: string): Expression => ({
  name: 'immediate',
  attributes: [
    [1, VERDICT_REGISTER],
    [2, { verdict: code, ...(chain ? { chain } : {}) }],
  ],
});
export const drop = verdict(0);
export const accept = verdict(1);
export const jump = (chain: string): Expression => verdict(-3, chain);

/** A random number below `modulus`. */
export const random = (modulus: number, r: number): Expression => ({
  name: 'numgen',
  attributes: [
    [1, reg(r)],
    [2, modulus],
    [3, 1],
  ],
});

/** A number below `modulus` that depends on register `from` alone. */
export const hash = (from: number, modulus: number, r: number): Expression => ({
  name: 'hash',
  attributes: [
    [1, reg(from)],
    [2, reg(r)],
    [3, 4],
    [4, modulus],
    [5, 0x7472696d],
    [7, 0],
  ],
});

/** Sends the connection to the address in `r` and the port in `r + 1`. */
export const destinationNat = (r: number): Expression => ({
  name: 'nat',
  attributes: [
    [1, 1],
    [2, 2],
    [3, reg(r)],
    [4, reg(r)],
    [5, reg(r + 1)],
    [6, reg(r + 1)],
  ],
});
/** Lets the connection come from the address in `r`. */
export const sourceNat = (r: number): Expression => ({
  name: 'nat',
  attributes: [
    [1, 0],
    [2, 2],
    [3, reg(r)],
    [4, reg(r)],
  ],
});
/** From an address of the outgoing interface, at a random port. */
export const masquerade: Expression = { name: 'masq', attributes: [[1, 1 << 4]] };

const rejectWith = (type: number, code: number): Expression => ({
  name: 'reject',
  attributes: [
    [1, type],
    [2, { u8: code }],
  ],
});
const TCP = '06000000';

/**
 * Refuses, in the two rules it takes: a reset for TCP, because ICMP errors are rationed and a client that gets none waits for a
 * second; ICMP port unreachable for the rest.
 */
export const refusals = (...when: readonly Expression[]): readonly (readonly Expression[])[] => [
  [...when, loadProtocol(0), equals(0, TCP), rejectWith(1, 0)],
  [...when, loadProtocol(0), differs(0, TCP), rejectWith(0, 3)],
];

const LOCAL_ADDRESS_TYPE = native(2);
const loadDestinationType = (r: number): Expression => ({
  name: 'fib',
  attributes: [
    [1, reg(r)],
    [2, 3],
    [3, 2],
  ],
});
/** The destination is an address of this machine. */
export const destinationIsLocal = (r: number): readonly Expression[] => [
  loadDestinationType(r),
  equals(r, LOCAL_ADDRESS_TYPE),
];
export const destinationIsElsewhere = (r: number): readonly Expression[] => [
  loadDestinationType(r),
  differs(r, LOCAL_ADDRESS_TYPE),
];

export const connectionIsNew = (r: number): readonly Expression[] => [
  {
    name: 'ct',
    attributes: [
      [2, 0],
      [1, reg(r)],
    ],
  },
  mask(r, r, native(8), native(0)),
  differs(r, native(0)),
];

const MARK = 3;
export const loadMark = (r: number): Expression => loadMeta(MARK, r);
export const setMark = (r: number): Expression => ({
  name: 'meta',
  attributes: [
    [2, MARK],
    [3, reg(r)],
  ],
});
export const hasMarkBit = (bit: number, r: number): readonly Expression[] => [
  loadMark(r),
  mask(r, r, native(bit), native(0)),
  differs(r, native(0)),
];

const within = (load: Expression, r: number, network: Network, inside: boolean): readonly Expression[] => {
  const bits = network.prefix === 0 ? 0 : (0xffffffff << (32 - network.prefix)) >>> 0;
  const base = address(formatIPv4(network.base));
  return [load, mask(r, r, address(formatIPv4(bits)), '00000000'), inside ? equals(r, base) : differs(r, base)];
};
export const sourceWithin = (n: Network, r: number): readonly Expression[] => within(loadSource(r), r, n, true);
export const sourceOutside = (n: Network, r: number): readonly Expression[] => within(loadSource(r), r, n, false);
export const destinationWithin = (n: Network, r: number): readonly Expression[] =>
  within(loadDestination(r), r, n, true);
export const destinationOutside = (n: Network, r: number): readonly Expression[] =>
  within(loadDestination(r), r, n, false);

/** Interface names are compared whole, 16 bytes. */
const nameBytes = (name: string): string => Buffer.from(name).toString('hex').padEnd(32, '0');
export const comesInByOther = (name: string, r: number): readonly Expression[] => [
  loadMeta(6, r),
  differs(r, nameBytes(name)),
];
export const goesOutByOther = (name: string, r: number): readonly Expression[] => [
  loadMeta(7, r),
  differs(r, nameBytes(name)),
];
