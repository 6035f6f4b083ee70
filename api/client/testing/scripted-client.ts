import type { KubeList, KubeObject, ResourceType } from '@trimtab/machinery';
import { Observable, type Subscriber } from 'rxjs';
import type { Client, ListOptions, WatchEvent, WatchOptions } from '../client.js';

/** A list request on its way: the test decides what comes back, and when. */
export interface ListCall {
  readonly verb: 'list';
  readonly options: ListOptions;
  answer(items: readonly KubeObject[], resourceVersion: string, more?: string): void;
  fail(error: unknown): void;
}

/** An open watch: the test says every event of it. */
export interface WatchCall {
  readonly verb: 'watch';
  readonly options: WatchOptions;
  readonly closed: boolean;
  send(type: WatchEvent['type'], object: KubeObject): void;
  end(): void;
  fail(error: unknown): void;
}

/** A client that only lists and watches, and answers nothing by itself. */
export class ScriptedClient {
  readonly calls: (ListCall | WatchCall)[] = [];
  readonly asClient: Client;

  constructor() {
    const refuse = (verb: string) => () => Promise.reject(new Error(`the script has no ${verb}`));
    this.asClient = {
      list: <T extends KubeObject>(_type: ResourceType<T>, options: ListOptions = {}) =>
        new Promise<KubeList<T>>((resolve, reject) => {
          this.calls.push({
            verb: 'list',
            options,
            answer: (items, resourceVersion, more) =>
              resolve({
                metadata: { resourceVersion, ...(more ? { continue: more } : {}) },
                items: items as readonly T[],
              }),
            fail: reject,
          });
        }),
      watch: <T extends KubeObject>(_type: ResourceType<T>, options: WatchOptions = {}) =>
        new Observable<WatchEvent<T>>((subscriber: Subscriber<WatchEvent<T>>) => {
          this.calls.push({
            verb: 'watch',
            options,
            get closed() {
              return subscriber.closed;
            },
            send: (type, object) => subscriber.next({ type, object } as WatchEvent<T>),
            end: () => subscriber.complete(),
            fail: (error) => subscriber.error(error),
          });
        }),
      get: refuse('get'),
      create: refuse('create'),
      update: refuse('update'),
      patch: refuse('patch'),
      delete: refuse('delete'),
      deleteCollection: refuse('deleteCollection'),
      subresource: refuse('subresource'),
      raw: refuse('raw'),
    };
  }

  get list(): ListCall {
    const call = this.calls.at(-1);
    if (call?.verb !== 'list') throw new Error(`the last call is a ${call?.verb ?? 'nothing'}, not a list`);
    return call;
  }

  get watch(): WatchCall {
    const call = this.calls.at(-1);
    if (call?.verb !== 'watch') throw new Error(`the last call is a ${call?.verb ?? 'nothing'}, not a watch`);
    return call;
  }
}
