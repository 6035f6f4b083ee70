import type { Client } from '@trimtab/client';
import { compareResourceVersions } from '@trimtab/client';
import type { Clock, Logger, PodStatus } from '@trimtab/machinery';
import { isReason } from '@trimtab/machinery';
import { PODS, type Pod, uidOf } from './api.js';
import { PASSING_CONDITIONS } from './conditions.js';
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
  #wanted: PodStatus | undefined;
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
    this.#wanted = status;
    if (this.#writing || this.#gone) return;
    if (isUrgent(this.#written, status)) {
      this.#cancelTimer?.();
      this.#cancelTimer = undefined;
      void this.#write();
    } else if (!this.#cancelTimer && statusPatch(this.#written, status)) {
      this.#cancelTimer = this.#clock.after(GATHER_MS, () => {
        this.#cancelTimer = undefined;
        void this.#write();
      });
    }
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
      const status = this.#wanted;
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

/** What somebody waits for: phase, readiness, and containers starting or ending. */
function isUrgent(before: PodStatus, after: PodStatus): boolean {
  return JSON.stringify(essence(before)) !== JSON.stringify(essence(after));
}

function essence(status: PodStatus): unknown {
  const states = [...(status.initContainerStatuses ?? []), ...(status.containerStatuses ?? [])].map((s) => [
    s.name,
    s.restartCount,
    s.ready,
    s.state?.running ? 'running' : (s.state?.terminated?.reason ?? 'waiting'),
    ['ContainerCreating', 'PodInitializing'].includes(s.state?.waiting?.reason ?? '') ? '' : s.state?.waiting?.reason,
  ]);
  const resize = [
    status.conditions?.filter((c) => PASSING_CONDITIONS.includes(c.type)).map((c) => [c.type, c.reason]),
    status.containerStatuses?.map((s) => s.state?.running && s.resources),
  ];
  const before = states.every((s) => s[3] === 'waiting' && !s[4]);
  return [status.phase ?? 'Pending', before ? [] : [states, resize]];
}
