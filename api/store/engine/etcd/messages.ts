import { createRequire } from 'node:module';
import type { Type } from 'protobufjs/light.js';

const require = createRequire(import.meta.url);

/**
 * The part of etcd's v3 API (etcd: api/etcdserverpb/rpc.proto, api/mvccpb/kv.proto) that an engine speaks: field numbers and types.
 * Messages are `Name: { field: [number, type] }`; `*` before a type: repeated; `a|b` before a field: a choice of that name.
 */
const MESSAGES = {
  ResponseHeader: { clusterId: [1, 'uint64'], memberId: [2, 'uint64'], revision: [3, 'int64'] },
  KeyValue: {
    key: [1, 'bytes'],
    createRevision: [2, 'int64'],
    modRevision: [3, 'int64'],
    version: [4, 'int64'],
    value: [5, 'bytes'],
    lease: [6, 'int64'],
  },
  Event: { type: [1, 'uint32'], kv: [2, 'KeyValue'] },
  RangeRequest: {
    key: [1, 'bytes'],
    rangeEnd: [2, 'bytes'],
    limit: [3, 'int64'],
    revision: [4, 'int64'],
    serializable: [7, 'bool'],
    keysOnly: [8, 'bool'],
  },
  RangeResponse: { header: [1, 'ResponseHeader'], kvs: [2, '*KeyValue'], more: [3, 'bool'], count: [4, 'int64'] },
  PutRequest: { key: [1, 'bytes'], value: [2, 'bytes'], lease: [3, 'int64'] },
  PutResponse: { header: [1, 'ResponseHeader'] },
  DeleteRangeRequest: { key: [1, 'bytes'], rangeEnd: [2, 'bytes'] },
  DeleteRangeResponse: { header: [1, 'ResponseHeader'], deleted: [2, 'int64'] },
  Compare: { result: [1, 'uint32'], target: [2, 'uint32'], key: [3, 'bytes'], 'targetUnion|modRevision': [6, 'int64'] },
  RequestOp: {
    'request|range': [1, 'RangeRequest'],
    'request|put': [2, 'PutRequest'],
    'request|deleteRange': [3, 'DeleteRangeRequest'],
    'request|txn': [4, 'TxnRequest'],
  },
  ResponseOp: {
    'response|range': [1, 'RangeResponse'],
    'response|put': [2, 'PutResponse'],
    'response|deleteRange': [3, 'DeleteRangeResponse'],
    'response|txn': [4, 'TxnResponse'],
  },
  TxnRequest: { compare: [1, '*Compare'], success: [2, '*RequestOp'], failure: [3, '*RequestOp'] },
  TxnResponse: { header: [1, 'ResponseHeader'], succeeded: [2, 'bool'], responses: [3, '*ResponseOp'] },
  CompactionRequest: { revision: [1, 'int64'], physical: [2, 'bool'] },
  CompactionResponse: { header: [1, 'ResponseHeader'] },
  WatchCreateRequest: {
    key: [1, 'bytes'],
    rangeEnd: [2, 'bytes'],
    startRevision: [3, 'int64'],
    progressNotify: [4, 'bool'],
    fragment: [8, 'bool'],
  },
  WatchRequest: { 'request|create': [1, 'WatchCreateRequest'] },
  WatchResponse: {
    header: [1, 'ResponseHeader'],
    created: [3, 'bool'],
    canceled: [4, 'bool'],
    compactRevision: [5, 'int64'],
    cancelReason: [6, 'string'],
    fragment: [7, 'bool'],
    events: [11, '*Event'],
  },
  LeaseGrantRequest: { ttl: [1, 'int64'], id: [2, 'int64'] },
  LeaseGrantResponse: { header: [1, 'ResponseHeader'], id: [2, 'int64'], ttl: [3, 'int64'] },
  LeaseRevokeRequest: { id: [1, 'int64'] },
  LeaseRevokeResponse: { header: [1, 'ResponseHeader'] },
  LeaseKeepAliveRequest: { id: [1, 'int64'] },
  LeaseKeepAliveResponse: { header: [1, 'ResponseHeader'], id: [2, 'int64'], ttl: [3, 'int64'] },
  StatusRequest: {},
  StatusResponse: {
    header: [1, 'ResponseHeader'],
    version: [2, 'string'],
    dbSize: [3, 'int64'],
    leader: [4, 'uint64'],
  },
  AlarmRequest: { action: [1, 'uint32'] },
  AlarmMember: { memberId: [1, 'uint64'], alarm: [2, 'uint32'] },
  AlarmResponse: { header: [1, 'ResponseHeader'], alarms: [2, '*AlarmMember'] },
} as const;

/** A number as the wire has it: what does not fit into a double comes as an object that can be made one. */
export type Int = number | { toString(): string };
export interface Header {
  readonly clusterId: Int;
  readonly memberId: Int;
  readonly revision: Int;
}
export interface KeyValue {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
  readonly modRevision: Int;
  readonly lease: Int;
}
export interface RangeResponse {
  readonly header: Header;
  readonly kvs: readonly KeyValue[];
  readonly more: boolean;
}
export interface WatchResponse {
  readonly header: Header;
  readonly created: boolean;
  readonly canceled: boolean;
  readonly compactRevision: Int;
  readonly cancelReason: string;
  readonly fragment: boolean;
  /** `type` 0: put, 1: delete. */
  readonly events: readonly { readonly type: number; readonly kv: KeyValue }[];
}
export interface Compare {
  /** 0: equal. */
  readonly result: 0;
  /** 2: the revision of its last change. */
  readonly target: 2;
  readonly key: Uint8Array;
  readonly modRevision: number;
}
export interface RangeRequest {
  readonly key: Uint8Array;
  readonly rangeEnd?: Uint8Array;
  readonly limit?: number;
  readonly revision?: number;
  readonly keysOnly?: boolean;
}
export type RequestOp =
  | { readonly range: RangeRequest }
  | { readonly put: { readonly key: Uint8Array; readonly value: Uint8Array; readonly lease?: number } }
  | { readonly deleteRange: { readonly key: Uint8Array } }
  | { readonly txn: TxnRequest };
export interface TxnRequest {
  readonly compare: readonly Compare[];
  readonly success: readonly RequestOp[];
  readonly failure: readonly RequestOp[];
}
export interface TxnResponse {
  readonly header: Header;
  readonly succeeded: boolean;
  readonly responses: readonly { readonly range?: RangeResponse }[];
}
export interface StatusResponse {
  readonly header: Header;
  readonly version: string;
  readonly dbSize: Int;
}

/** How one call is written to the wire and read from it. */
export interface Method<Request, Response> {
  readonly path: string;
  readonly encode: (request: Request) => Buffer;
  readonly decode: (bytes: Buffer) => Response;
}

export interface Methods {
  readonly range: Method<RangeRequest, RangeResponse>;
  readonly txn: Method<TxnRequest, TxnResponse>;
  readonly compact: Method<{ readonly revision: number }, { readonly header: Header }>;
  readonly watch: Method<{ readonly create: object }, WatchResponse>;
  readonly grant: Method<{ readonly ttl: number; readonly id: number }, { readonly ttl: Int }>;
  readonly revoke: Method<{ readonly id: number }, object>;
  readonly keepAlive: Method<{ readonly id: number }, { readonly ttl: Int }>;
  readonly status: Method<object, StatusResponse>;
  readonly alarm: Method<{ readonly action: 0 }, { readonly alarms: readonly { readonly alarm: number }[] }>;
}

/** Made once, when first asked for. */
export function etcdMethods(): Methods {
  const { Root } = require('protobufjs/light.js') as typeof import('protobufjs/light.js');
  const root = Root.fromJSON({
    nested: Object.fromEntries(Object.entries(MESSAGES).map(([n, f]) => [n, described(f)])),
  });
  const method = <Q extends object, R>(service: string, name: string, message = name): Method<Q, R> => {
    const request: Type = root.lookupType(`${message}Request`);
    const response: Type = root.lookupType(`${message}Response`);
    return {
      path: `/etcdserverpb.${service}/${name}`,
      encode: (value) => Buffer.from(request.encode(request.create(value)).finish()),
      decode: (bytes) => response.decode(bytes) as R,
    };
  };
  return {
    range: method('KV', 'Range'),
    txn: method('KV', 'Txn'),
    compact: method('KV', 'Compact', 'Compaction'),
    watch: method('Watch', 'Watch'),
    grant: method('Lease', 'LeaseGrant'),
    revoke: method('Lease', 'LeaseRevoke'),
    keepAlive: method('Lease', 'LeaseKeepAlive'),
    status: method('Maintenance', 'Status'),
    alarm: method('Maintenance', 'Alarm'),
  };
}

type Fields = Readonly<Record<string, readonly [number, string]>>;

function described(fields: Fields) {
  const oneofs: Record<string, { oneof: string[] }> = {};
  const described: Record<string, { id: number; type: string; rule?: string }> = {};
  for (const [written, [id, type]] of Object.entries(fields)) {
    const [choice, name] = written.includes('|') ? (written.split('|') as [string, string]) : [undefined, written];
    described[name] = type.startsWith('*') ? { id, type: type.slice(1), rule: 'repeated' } : { id, type };
    if (choice !== undefined) {
      oneofs[choice] ??= { oneof: [] };
      oneofs[choice].oneof.push(name);
    }
  }
  return { oneofs, fields: described };
}
