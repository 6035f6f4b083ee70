import type { KubeObject } from '@trimtab/machinery';
import { textOf, type Value } from './engine/engine.js';
import type { Entry, StoreEvent, StoreKey } from './store.js';

/**
 * An entry as it was read back: text until somebody looks at it. Most of what a restart reads is not looked at for a while, and
 * parsing is most of what reading costs.
 */
export class ReadEntry implements Entry {
  #text: Value | undefined;
  #object: KubeObject | undefined;

  constructor(
    readonly key: StoreKey,
    readonly revision: number,
    text: Value,
  ) {
    this.#text = text;
  }

  get object(): KubeObject {
    if (this.#object === undefined) {
      this.#object = stamp(JSON.parse(textOf(this.#text!)) as KubeObject, this.revision);
      this.#text = undefined;
    }
    return this.#object;
  }
}

/** An event as it was read back. */
export class ReadEvent implements StoreEvent {
  readonly type: 'put' | 'delete';
  #deleted: KubeObject | undefined;

  constructor(
    readonly revision: number,
    readonly key: StoreKey,
    readonly after: Entry | undefined,
    readonly before: Entry | undefined,
  ) {
    this.type = after === undefined ? 'delete' : 'put';
  }

  get object(): KubeObject {
    if (this.after !== undefined) return this.after.object;
    this.#deleted ??= stamp(this.before!.object, this.revision);
    return this.#deleted;
  }

  get previous(): KubeObject | undefined {
    return this.before?.object;
  }
}

/** The object with its resourceVersion; itself where it has that already. */
export function stamp(object: KubeObject, revision: number): KubeObject {
  const resourceVersion = String(revision);
  if (object.metadata.resourceVersion === resourceVersion) return object;
  return { ...object, metadata: { ...object.metadata, resourceVersion } };
}

export const formatKey = ({ resource, namespace, name }: StoreKey): string => `${resource}\0${namespace}\0${name}`;

export function parseKey(key: string): StoreKey {
  const first = key.indexOf('\0');
  const second = key.indexOf('\0', first + 1);
  return { resource: key.slice(0, first), namespace: key.slice(first + 1, second), name: key.slice(second + 1) };
}
