/**
 * One atomic change of nftables as data: the operations of `nft.apply`. Element keys and data are hex, made with the encoders
 * of `encode.ts`; an element is `"<key>"`, `"<key> <data>"` or `"<key> ><chain>"` (goto).
 */
export type NftOperation =
  | { readonly op: 'table' | 'reset-table' | 'delete-table'; readonly table: string }
  | {
      readonly op: 'chain';
      readonly table: string;
      readonly name: string;
      /** Base chains only. */
      readonly type?: 'nat' | 'filter';
      readonly hook?: number;
      readonly priority?: number;
    }
  | {
      readonly op: 'set';
      readonly table: string;
      readonly name: string;
      readonly flags: number;
      readonly keyType: number;
      readonly keyLength: number;
      readonly dataType?: number;
      readonly dataLength?: number;
    }
  | { readonly op: 'rule'; readonly table: string; readonly name: string; readonly expressions: readonly Expression[] }
  | { readonly op: 'flush-chain' | 'flush-set'; readonly table: string; readonly name: string }
  | {
      readonly op: 'add' | 'delete';
      readonly table: string;
      readonly name: string;
      readonly elements: readonly string[];
    };

/** A rule's expression: the kernel's name and attribute numbers (linux/netfilter/nf_tables.h). */
export interface Expression {
  readonly name: string;
  readonly attributes: readonly (readonly [number, AttributeValue])[];
}

/** A number is sent as 32 bits big-endian. */
export type AttributeValue =
  | number
  | { readonly str: string }
  | { readonly data: string }
  | { readonly verdict: number; readonly chain?: string }
  | { readonly u8: number };

/** Netfilter hooks of the IPv4 family. */
export const Hook = { prerouting: 0, input: 1, forward: 2, output: 3, postrouting: 4 } as const;

/** nft's data types, six bits each in a concatenation, first field highest. */
const TypeId = { verdict: 0xffffff00, address: 7, protocol: 12, port: 13, mark: 19 } as const;

export type FieldType = Exclude<keyof typeof TypeId, 'verdict'>;

const MAP_FLAG = 0x8;
const concatenated = (fields: readonly FieldType[]): number => fields.reduce((type, f) => type * 64 + TypeId[f], 0);

/** A set, or a map with `data`. Every field takes four bytes. */
export function declareSet(
  table: string,
  name: string,
  key: readonly FieldType[],
  data?: readonly FieldType[] | 'verdict',
): NftOperation {
  const base = { op: 'set', table, name, keyType: concatenated(key), keyLength: key.length * 4 } as const;
  if (data === undefined) return { ...base, flags: 0 };
  if (data === 'verdict') return { ...base, flags: MAP_FLAG, dataType: TypeId.verdict, dataLength: 0 };
  return { ...base, flags: MAP_FLAG, dataType: concatenated(data), dataLength: data.length * 4 };
}
