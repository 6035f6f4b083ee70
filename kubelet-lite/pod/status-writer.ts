import type { Client } from '@trimtab/client';
import { compareResourceVersions } from '@trimtab/client';
import type { Clock, ContainerStatus, Logger, PodStatus } from '@trimtab/machinery';
import { isReason, remembering } from '@trimtab/machinery';
import { PODS, type Pod, uidOf } from './api.js';
import { PASSING_CONDITIONS } from './conditions.js';
import { BEGINNING_REASONS } from './status.js';
import { statusPatch } from './status-patch.js';

/** How long a change nobody waits for may be held back to travel with the next one. */
const GATHER_MS = 100;
const RETRY_MS = [100, 500, 2_000, 10_000];

/**
 * Writes one pod's status, one patch at a time and in order: the newest wanted status always wins, none is lost, and a
 * patch holds only what changed since the last one the server has taken.
 */
export class StatusWriter {
  readonly #client: Client;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #pod: Pod;
  /** The status as the server has it, as far as we know. */
  #written: PodStatus;
  #writtenAt: string;
  /** Worked out when it is sent. */
  #wanted: (() => PodStatus) | undefined;
  #writing = false;
  #failures = 0;
  #gone = false;
  #cancelTimer: (() => void) | undefined;
  #idle: (() => void)[] = [];

  constructor(client: Client, clock: Clock, logger: Logger, pod: Pod) {
    this.#client = client;
    this.#clock = clock;
    this.#logger = logger;
    this.#pod = pod;
    this.#written = pod.status ?? {};
    this.#writtenAt = pod.metadata.resourceVersion ?? '';
  }

  get written(): PodStatus {
    return this.#written;
  }

  /** A newer object from the watch: another writer's changes become the base of the next patch. */
  observed(pod: Pod): void {
    if ((compareResourceVersions(pod.metadata.resourceVersion, this.#writtenAt) ?? 1) <= 0) return;
    this.#written = pod.status ?? {};
    this.#writtenAt = pod.metadata.resourceVersion ?? '';
  }

  /** Urgent changes are sent at once, others with the next one or after a moment. */
  want(status: PodStatus): void {
    this.#wanted = () => status;
    if (this.#writing || this.#gone) return;
    if (isUrgent(this.#written, status)) {
      this.#cancelTimer?.();
      this.#cancelTimer = undefined;
      void this.#write();
    } else if (!this.#cancelTimer && statusPatch(this.#written, status)) this.#gather();
  }

  /** The status of a pod of which nothing has begun: nobody waits for it, and it is made when it is sent. */
  wantLater(status: () => PodStatus): void {
    if (isUrgent(this.#written, BEGINNING)) {
      this.want(status());
      return;
    }
    this.#wanted = status;
    if (!this.#writing && !this.#gone && !this.#cancelTimer) this.#gather();
  }

  #gather(): void {
    this.#cancelTimer = this.#clock.after(GATHER_MS, () => {
      this.#cancelTimer = undefined;
      void this.#write();
    });
  }

  /** Resolves when the last wanted status is on the server, or the pod is gone. */
  async flush(): Promise<void> {
    if (this.#gone || !this.#wanted) return;
    const done = new Promise<void>((resolve) => this.#idle.push(resolve));
    if (!this.#writing) {
      this.#cancelTimer?.();
      this.#cancelTimer = undefined;
      void this.#write();
    }
    await done;
  }

  stop(): void {
    this.#gone = true;
    this.#cancelTimer?.();
    this.#settle();
  }

  async #write(): Promise<void> {
    if (this.#writing) return;
    this.#writing = true;
    while (this.#wanted && !this.#gone) {
      const status = this.#wanted();
      this.#wanted = () => status;
      const patch = statusPatch(this.#written, status);
      if (!patch) {
        this.#wanted = undefined;
        break;
      }
      if (!(await this.#send(status, patch))) return;
    }
    this.#writing = false;
    this.#settle();
  }

  /** False when another attempt has been armed. */
  async #send(status: PodStatus, patch: object): Promise<boolean> {
    const { metadata } = this.#pod;
    try {
      const answer = await this.#client.patch(
        PODS,
        { namespace: metadata.namespace, name: metadata.name ?? '' },
        { type: 'strategic', body: { metadata: { uid: uidOf(this.#pod) }, status: patch } },
        { subresource: 'status' },
      );
      this.#failures = 0;
      // What the server has, which it shares with all who look, not a copy of one's own.
      if ((compareResourceVersions(answer.metadata.resourceVersion, this.#writtenAt) ?? 1) > 0) {
        this.#written = answer.status ?? status;
        this.#writtenAt = answer.metadata.resourceVersion ?? '';
      }
      return true;
    } catch (error) {
      if (isReason(error, 'NotFound', 'Conflict', 'Invalid', 'Forbidden')) {
        if (!isReason(error, 'NotFound', 'Conflict')) {
          this.#logger.error({ error: String(error) }, 'pod status refused by the API server');
        }
        this.stop();
        return true;
      }
      const level = this.#failures === 0 ? 'warn' : 'debug';
      const delay = RETRY_MS[Math.min(this.#failures++, RETRY_MS.length - 1)]!;
      this.#logger[level]({ error: String(error), retryMs: delay }, 'pod status not written');
      this.#cancelTimer = this.#clock.after(delay, () => {
        this.#cancelTimer = undefined;
        this.#writing = false;
        void this.#write();
      });
      return false;
    }
  }

  #settle(): void {
    for (const resolve of this.#idle.splice(0)) resolve();
  }
}

/** A pod that has just come. */
const BEGINNING: PodStatus = { phase: 'Pending' };

/** What somebody waits for: phase, readiness, and containers starting or ending. */
function isUrgent(before: PodStatus, after: PodStatus): boolean {
  return essence(before) !== essence(after);
}

/** Asked of what was written for each that is to follow. */
const essence = remembering((status: PodStatus): string => JSON.stringify(partsOf(status)));

function partsOf(status: PodStatus): unknown {
  const statuses = [...(status.initContainerStatuses ?? []), ...(status.containerStatuses ?? [])];
  const phase = status.phase ?? 'Pending';
  if (statuses.every(({ state }) => isBeginning(state))) return [phase];
  const states = statuses.map((s) => [
    s.name,
    s.restartCount,
    s.ready,
    s.state?.running ? 'running' : (s.state?.terminated?.reason ?? 'waiting'),
    isBeginning(s.state) ? '' : s.state?.waiting?.reason,
  ]);
  const passing = status.conditions?.filter((c) => PASSING_CONDITIONS.includes(c.type)).map((c) => [c.type, c.reason]);
  return [phase, states, passing, status.containerStatuses?.map((s) => s.state?.running && s.resources)];
}

/** Waits for its first start, or says nothing of itself. */
function isBeginning(state: ContainerStatus['state']): boolean {
  if (state?.running || state?.terminated?.reason) return false;
  return !state?.waiting?.reason || BEGINNING_REASONS.includes(state.waiting.reason);
}
