import { parseQuantity, quantityValue } from '@trimtab/machinery';

/** What an eviction signal measures (kubernetes: pkg/kubelet/eviction/api). */
export const SIGNALS = [
  'memory.available',
  'nodefs.available',
  'nodefs.inodesFree',
  'imagefs.available',
  'imagefs.inodesFree',
  'pid.available',
] as const;
export type Signal = (typeof SIGNALS)[number];

/** An amount (bytes, inodes, processes), or a part of the capacity. */
export type Amount = { readonly quantity: number; readonly text: string } | { readonly part: number };

export interface Threshold {
  readonly signal: Signal;
  /** Met while less than this is available. */
  readonly below: Amount;
  /** Soft: met for so long before anything is done; hard: 0. */
  readonly graceMs: number;
  readonly hard: boolean;
  /** Once met, so much more than the threshold must be available. */
  readonly reclaim?: Amount;
}

export interface ThresholdFlags {
  /** `memory.available<100Mi,nodefs.available<10%`; default Kubernetes' own, `""` for none. */
  readonly hard?: string;
  readonly soft?: string;
  /** `memory.available=1m30s`: each soft threshold has one. */
  readonly softGracePeriod?: string;
  /** `nodefs.available=500Mi` */
  readonly minimumReclaim?: string;
}

export const DEFAULT_HARD =
  'memory.available<100Mi,nodefs.available<10%,nodefs.inodesFree<5%,imagefs.available<15%,imagefs.inodesFree<5%';

/**
 * Reads thresholds as the kubelet's flags have them. Pure.
 *
 * @throws Error that names what is wrong and in which flag.
 */
export function parseThresholds(flags: ThresholdFlags): readonly Threshold[] {
  const graces = new Map(pairs(flags.softGracePeriod ?? '', '=', 'eviction-soft-grace-period'));
  const reclaims = new Map(pairs(flags.minimumReclaim ?? '', '=', 'eviction-minimum-reclaim'));
  const read = (text: string, flag: string, hard: boolean): readonly Threshold[] =>
    pairs(text, '<', flag).map(([signal, value]) => {
      const reclaim = reclaims.get(signal);
      const grace = graces.get(signal);
      if (!hard && grace === undefined)
        throw new Error(`eviction-soft-grace-period: ${signal} has a soft threshold and no grace period`);
      return {
        signal,
        below: amountOf(value, flag),
        hard,
        graceMs: hard ? 0 : durationMs(grace!),
        ...(reclaim === undefined ? {} : { reclaim: amountOf(reclaim, 'eviction-minimum-reclaim') }),
      };
    });
  const all = [
    ...read(flags.hard ?? DEFAULT_HARD, 'eviction-hard', true),
    ...read(flags.soft ?? '', 'eviction-soft', false),
  ];
  // 0 switches a threshold off.
  return all.filter(({ below }) => ('part' in below ? below.part : below.quantity) > 0);
}

function pairs(text: string, operator: '<' | '=', flag: string): readonly [Signal, string][] {
  const found = text
    .split(',')
    .map((one) => one.trim())
    .filter(Boolean)
    .map((one): [Signal, string] => {
      const [name = '', value = ''] = one.split(operator).map((part) => part.trim());
      const signal = SIGNALS.find((known) => known === name);
      if (!signal)
        throw new Error(
          `${flag}: ${JSON.stringify(one)}: there is no signal ${name}; there are: ${SIGNALS.join(', ')}`,
        );
      if (value === '') throw new Error(`${flag}: ${JSON.stringify(one)}: write ${signal}${operator}VALUE`);
      return [signal, value];
    });
  const twice = found.find(([signal], i) => found.findIndex(([other]) => other === signal) !== i);
  if (twice) throw new Error(`${flag}: ${twice[0]} is there twice`);
  return found;
}

function amountOf(text: string, flag: string): Amount {
  const percent = /^(\d+(?:\.\d+)?)%$/.exec(text);
  if (percent) {
    const part = Number(percent[1]) / 100;
    if (part > 1) throw new Error(`${flag}: ${text} is more than all there is`);
    return { part };
  }
  try {
    const quantity = quantityValue(parseQuantity(text));
    if (quantity < 0) throw new Error('it is negative');
    return { quantity, text };
  } catch {
    throw new Error(`${flag}: ${JSON.stringify(text)} is neither an amount such as 100Mi nor a percentage`);
  }
}

const UNITS: Readonly<Record<string, number>> = { h: 3_600_000, m: 60_000, s: 1_000, ms: 1 };

/** A duration as Go writes it: `1m30s`. */
function durationMs(text: string): number {
  if (!/^([\d.]+(ms|h|m|s))+$/.test(text))
    throw new Error(`eviction-soft-grace-period: ${JSON.stringify(text)} is no duration such as 1m30s`);
  let sum = 0;
  for (const [, amount, unit] of text.matchAll(/([\d.]+)(ms|h|m|s)/g)) sum += Number(amount) * UNITS[unit!]!;
  return sum;
}

/** What an amount is of this capacity. */
export const amountIn = (amount: Amount, capacity: number): number =>
  'part' in amount ? Math.floor(capacity * amount.part) : amount.quantity;
