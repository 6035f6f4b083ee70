import type { PodStatus } from '@trimtab/machinery';
import { nothingBegun, type PodView, podStatus, sameBesideObject, sameView } from './status.js';
import { statusPatch } from './status-patch.js';
import type { StatusWriter } from './status-writer.js';

/** Node makes an asynchronous resource of each call of `queueMicrotask`. */
const SOON = Promise.resolve();

/** Turns what is known of a pod into its status whenever that can be seen to have changed. */
export class StatusPublisher {
  readonly #writer: StatusWriter;
  readonly #view: () => PodView;
  #waiting = false;
  #stopped = false;
  #published: PodView | undefined;
  /** Of what was published, where it has been worked out. */
  #status: PodStatus | undefined;

  constructor(writer: StatusWriter, view: () => PodView) {
    this.#writer = writer;
    this.#view = view;
  }

  /** At most once per turn of the event loop's microtasks, however much has changed. */
  publish(): void {
    if (this.#waiting || this.#stopped) return;
    this.#waiting = true;
    void SOON.then(() => {
      this.#waiting = false;
      if (!this.#stopped) this.now();
    });
  }

  now(): void {
    const view = this.#view();
    const before = this.#published;
    if (sameView(before, view)) return;
    this.#published = view;
    // Mostly the object is another because the server has taken what we wrote.
    if (before && this.#status && sameBesideObject(before, view) && !statusPatch(view.previous, this.#status)) return;
    this.#status = undefined;
    if (nothingBegun(view)) this.#writer.wantLater(() => this.#make(this.#view()));
    else this.#writer.want(this.#make(view));
  }

  stop(): void {
    this.#stopped = true;
  }

  #make(view: PodView): PodStatus {
    this.#status = podStatus(view);
    return this.#status;
  }
}
