import { type PodView, podStatus, sameView } from './status.js';
import type { StatusWriter } from './status-writer.js';

/** Turns what is known of a pod into its status whenever that can be seen to have changed. */
export class StatusPublisher {
  readonly #writer: StatusWriter;
  readonly #view: () => PodView;
  #waiting = false;
  #stopped = false;
  #published: PodView | undefined;

  constructor(writer: StatusWriter, view: () => PodView) {
    this.#writer = writer;
    this.#view = view;
  }

  /** At most once per turn of the event loop's microtasks, however much has changed. */
  publish(): void {
    if (this.#waiting || this.#stopped) return;
    this.#waiting = true;
    queueMicrotask(() => {
      this.#waiting = false;
      if (!this.#stopped) this.now();
    });
  }

  now(): void {
    const view = this.#view();
    if (sameView(this.#published, view)) return;
    this.#published = view;
    this.#writer.want(podStatus(view));
  }

  stop(): void {
    this.#stopped = true;
  }
}
