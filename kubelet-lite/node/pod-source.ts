import type { Informer } from '@trimtab/client';
import type { Pod } from '../pod/api.js';

/** Where a node hears of its pods. */
export interface PodSource {
  /** Tells every pod of the node, now and from now on; the returned function ends it. */
  listen(handler: PodHandler): () => void;
  whenSynced(): Promise<void>;
}

export interface PodHandler {
  /** Added or changed. */
  seen(pod: Pod): void;
  removed(pod: Pod): void;
}

/** A node's own watch, already limited to the node by the server. */
export function podsOf(informer: Informer<Pod>): PodSource {
  return {
    whenSynced: () => informer.whenSynced(),
    listen: (handler) => {
      const registration = informer.addHandler((change) => {
        if (change.type === 'deleted') handler.removed(change.object);
        else handler.seen(change.object);
      });
      return () => registration.remove();
    },
  };
}

/** One watch shared by many nodes of one process: each pod is handed only to the node it is bound to. */
export class SharedPodSource {
  readonly #informer: Informer<Pod>;
  readonly #handlers = new Map<string, PodHandler>();
  readonly #isLeft: (pod: Pod) => boolean;

  /** Pods that are `settled` are handed to nobody until they are to go. */
  constructor(informer: Informer<Pod>, settled: (pod: Pod) => boolean = () => false) {
    this.#informer = informer;
    this.#isLeft = (pod) => !pod.metadata.deletionTimestamp && settled(pod);
    informer.addHandler((change) => {
      if (this.#isLeft(change.object)) return;
      const handler = this.#handlers.get(change.object.spec.nodeName ?? '');
      if (change.type === 'deleted') handler?.removed(change.object);
      else handler?.seen(change.object);
    });
  }

  forNode(name: string): PodSource {
    return {
      whenSynced: () => this.#informer.whenSynced(),
      listen: (handler) => {
        this.#handlers.set(name, handler);
        for (const pod of this.#informer.byIndex('node', name)) if (!this.#isLeft(pod)) handler.seen(pod);
        return () => void this.#handlers.delete(name);
      },
    };
  }
}
