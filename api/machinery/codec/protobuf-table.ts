import { messageLines } from '../generated/protobuf.js';
import type { GroupVersionKind } from '../object.js';

/** Protobuf messages of the Kubernetes API, resolved on first use. */

export type Scalar = 's' | 'i' | 'l' | 'b' | 'n' | 'y';

export interface MessageField {
  readonly number: number;
  /** The key in JSON; unused where `embedded`. */
  readonly name: string;
  readonly list: boolean;
  readonly map: boolean;
  /** Of the value, the list's elements or the map's values. */
  readonly scalar?: Scalar;
  /** A getter, for messages are recursive. */
  readonly message?: Message;
  /** Go has a pointer here: zero is a value, and absence is not written. */
  readonly pointer: boolean;
  /** JSON leaves the field out when it is zero. */
  readonly omitZero: boolean;
  /** The message's fields lie in the parent's JSON object. */
  readonly embedded: boolean;
}

export interface Message {
  readonly name: string;
  /** By ascending number, which is the order on the wire. */
  readonly fields: readonly MessageField[];
  readonly byNumber: readonly (MessageField | undefined)[];
}

type Row = readonly [number, string, string, string?];

let lines: readonly string[] | undefined;
let index: Map<string, number>;
const messages: (Message | undefined)[] = [];

function load(): readonly string[] {
  if (lines) return lines;
  lines = messageLines.split('\n');
  index = new Map(lines.map((line, i) => [line.slice(2, line.indexOf('"', 2)), i]));
  return lines;
}

function messageAt(i: number): Message {
  let found = messages[i];
  if (!found) {
    const [name, rows] = JSON.parse(load()[i]!) as [string, readonly Row[]];
    const fields = rows.map(fieldOf);
    const byNumber: (MessageField | undefined)[] = [];
    for (const f of fields) byNumber[f.number] = f;
    found = { name, fields, byNumber };
    messages[i] = found;
  }
  return found;
}

function fieldOf([number, name, type, flags = '']: Row): MessageField {
  const list = type.startsWith('[');
  const map = type.startsWith('{');
  const code = list || map ? type.slice(1) : type;
  let message: Message | undefined;
  const common = {
    number,
    name,
    list,
    map,
    pointer: flags.includes('*'),
    omitZero: /[oz]/.test(flags),
    embedded: flags.includes('~'),
  };
  if (!code.startsWith('#')) return { ...common, scalar: code as Scalar };
  return {
    ...common,
    get message() {
      message ??= messageAt(Number(code.slice(1)));
      return message;
    },
  };
}

/** A message by its full name: `k8s.io.api.core.v1.Pod`. */
export function messageNamed(name: string): Message | undefined {
  load();
  const i = index.get(name);
  return i === undefined ? undefined : messageAt(i);
}

const META = 'k8s.io.apimachinery.pkg.apis.meta.v1';
const PACKAGES: Readonly<Record<string, string>> = {
  '': 'k8s.io.api.core',
  'apiextensions.k8s.io': 'k8s.io.apiextensions_apiserver.pkg.apis.apiextensions',
  'apiregistration.k8s.io': 'k8s.io.kube_aggregator.pkg.apis.apiregistration',
  'internal.apiserver.k8s.io': 'k8s.io.api.apiserverinternal',
  'meta.k8s.io': 'k8s.io.apimachinery.pkg.apis.meta',
};

const byKind = new Map<string, Message | null>();

/** The message of a kind, in the kind's own package or, for `Status`, `DeleteOptions` and their like, in meta's. */
export function messageFor({ group, version, kind }: GroupVersionKind): Message | undefined {
  const key = `${group}/${version}/${kind}`;
  let found = byKind.get(key);
  if (found === undefined) {
    const package_ = PACKAGES[group] ?? `k8s.io.api.${group.split('.')[0]}`;
    found = messageNamed(`${package_}.${version}.${kind}`) ?? messageNamed(`${META}.${kind}`) ?? null;
    byKind.set(key, found);
  }
  return found ?? undefined;
}
