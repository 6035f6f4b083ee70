import type { Change, Client, Informers } from '@trimtab/client';
import { EventRecorder } from '@trimtab/framework';
import {
  type Binding,
  type Clock,
  isReason,
  keyOf,
  type Logger,
  type Node,
  Nodes,
  type Pod,
  type PodCondition,
  Pods,
  type Random,
  timestamp,
} from '@trimtab/machinery';
import { claimsOf } from '../storage/names.js';
import { isTerminal, type NodeState, nodeState, withoutPod, withPod } from './node-state.js';
import { schedule } from './schedule.js';
import { VolumeBinder } from './volume-binder.js';
import type { VolumePlan } from './volumes.js';

export interface SchedulerOptions {
  readonly client: Client;
  readonly informers: Informers;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** Pods that name another scheduler are left to it. */
  readonly name?: string;
}

/** Backoff of a pod whose binding failed or that fits nowhere; anything that frees room retries it at once. */
const BACKOFF = { baseMs: 1_000, capMs: 10_000 };

/**
 * Binds pods to nodes, one after the other in the order of priority and age, against a picture of the nodes that already
 * contains its own decisions, so that two pods are never promised the same room.
 */
export class Scheduler {
  readonly #options: SchedulerOptions;
  readonly #name: string;
  readonly #events: EventRecorder;
  readonly #volumes: VolumeBinder;
  readonly #nodes = new Map<string, NodeState>();
  /** Pods counted in `#nodes`, by uid: bound ones as the cache shows them, and own decisions not yet seen there. */
  readonly #counted = new Map<string, { readonly pod: Pod; readonly node: string }>();
  readonly #waiting = new Map<string, Pod>();
  readonly #unschedulable = new Map<string, { readonly pod: Pod; readonly attempts: number; cancel: () => void }>();
  readonly #stops: (() => void)[] = [];
  #running = false;
  #stopped = false;

  constructor(options: SchedulerOptions) {
    this.#options = options;
    this.#name = options.name ?? 'default-scheduler';
    this.#events = new EventRecorder({ ...options, source: this.#name });
    this.#volumes = new VolumeBinder({ ...options, fieldManager: this.#name });
  }

  /** Begins once nodes and pods are known. */
  async start(): Promise<void> {
    const { informers } = this.#options;
    const nodes = informers.get(Nodes);
    const pods = informers.get(Pods);
    this.#stops.push(
      nodes.addHandler((change) => this.#onNode(change)).remove,
      pods.addHandler((change) => this.#onPod(change)).remove,
    );
    const volumes = this.#volumes.start(() => this.#retryUnschedulable((pod) => claimsOf(pod).length > 0));
    await Promise.all([nodes.whenSynced(), pods.whenSynced(), volumes]);
    this.#running = true;
    this.#work();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    for (const stop of this.#stops) stop();
    this.#volumes.stop();
    for (const { cancel } of this.#unschedulable.values()) cancel();
    await this.#events.flushed();
  }

  #onNode(change: Change<Node>): void {
    const name = change.object.metadata.name!;
    if (change.type === 'deleted') this.#nodes.delete(name);
    else {
      const here = [...this.#counted.values()].filter(({ node }) => node === name).map(({ pod }) => pod);
      this.#nodes.set(name, nodeState(change.object, here));
    }
    this.#retryUnschedulable();
  }

  #onPod(change: Change<Pod>): void {
    const pod = change.object;
    const uid = pod.metadata.uid!;
    const node = pod.spec?.nodeName;
    const gone = change.type === 'deleted' || isTerminal(pod);
    if (gone || node || pod.metadata.deletionTimestamp) {
      this.#forget(uid);
      this.#volumes.cancel(uid);
    }
    if (gone) this.#release(uid);
    else if (node) this.#count(pod, node);
    else if (!pod.metadata.deletionTimestamp && pod.spec?.schedulerName === this.#name) this.#enqueue(uid, pod);
  }

  #enqueue(uid: string, pod: Pod): void {
    const parked = this.#unschedulable.get(uid);
    // Our own report of failure comes back as a change; only a change of what was asked for is news.
    if (parked !== undefined && parked.pod.metadata.generation === pod.metadata.generation) return;
    if (this.#counted.has(uid)) return;
    this.#forget(uid);
    this.#waiting.set(uid, pod);
    this.#work();
  }

  #count(pod: Pod, node: string): void {
    const uid = pod.metadata.uid!;
    const known = this.#counted.get(uid);
    if (known?.node === node && known.pod.spec === pod.spec) return;
    if (known) this.#uncount(uid);
    this.#counted.set(uid, { pod, node });
    const state = this.#nodes.get(node);
    if (state) this.#nodes.set(node, withPod(state, pod));
  }

  #uncount(uid: string): void {
    const known = this.#counted.get(uid);
    if (!known) return;
    this.#counted.delete(uid);
    const state = this.#nodes.get(known.node);
    if (state) this.#nodes.set(known.node, withoutPod(state, known.pod));
  }

  #release(uid: string): void {
    if (!this.#counted.has(uid)) return;
    this.#uncount(uid);
    this.#retryUnschedulable();
  }

  #forget(uid: string): void {
    this.#waiting.delete(uid);
    this.#unschedulable.get(uid)?.cancel();
    this.#unschedulable.delete(uid);
  }

  #retryUnschedulable(concerned: (pod: Pod) => boolean = () => true): void {
    for (const [uid, { pod, cancel }] of this.#unschedulable) {
      if (!concerned(pod)) continue;
      cancel();
      this.#waiting.set(uid, pod);
    }
    this.#work();
  }

  /** Decides synchronously; bindings go out concurrently, each already counted in the picture of the nodes. */
  #work(): void {
    if (!this.#running || this.#stopped) return;
    const order = [...this.#waiting].sort(([, a], [, b]) => priority(b) - priority(a));
    this.#waiting.clear();
    for (const [uid, pod] of order) {
      const placement = schedule(pod, [...this.#nodes.values()], this.#options.random.next(), this.#volumes);
      if ('node' in placement) {
        this.#count(pod, placement.node);
        void this.#bind(uid, pod, placement.node, placement.volumes);
      } else this.#park(uid, pod, placement.unschedulable);
    }
  }

  async #bind(uid: string, pod: Pod, node: string, volumes: VolumePlan | undefined): Promise<void> {
    const { client, logger } = this.#options;
    const key = { namespace: pod.metadata.namespace, name: pod.metadata.name! };
    const binding: Binding = {
      apiVersion: 'v1',
      kind: 'Binding',
      metadata: { ...key, uid },
      target: { apiVersion: 'v1', kind: 'Node', name: node },
    };
    try {
      if (volumes) await this.#volumes.bind(uid, volumes);
      await client.subresource(Pods, key, 'binding', 'create', binding);
      this.#unschedulable.delete(uid);
      const message = `Successfully assigned ${keyOf(pod)} to ${node}`;
      this.#events.record({ regarding: pod, type: 'Normal', reason: 'Scheduled', message });
    } catch (error) {
      this.#uncount(uid);
      if (isReason(error, 'NotFound', 'Conflict') || this.#stopped || !this.#isPending(pod)) return;
      logger.warn({ pod: keyOf(pod), node, error: String(error) }, 'binding failed');
      this.#park(uid, pod, `binding rejected: ${error instanceof Error ? error.message : error}`);
    }
  }

  #isPending(pod: Pod): boolean {
    const known = this.#options.informers.get(Pods).get(keyOf(pod));
    return known?.metadata.uid === pod.metadata.uid && !known?.spec?.nodeName && !known?.metadata.deletionTimestamp;
  }

  #park(uid: string, pod: Pod, message: string): void {
    const attempts = (this.#unschedulable.get(uid)?.attempts ?? 0) + 1;
    const delay = Math.min(BACKOFF.baseMs * 2 ** (attempts - 1), BACKOFF.capMs);
    const cancel = this.#options.clock.after(delay, () => {
      this.#waiting.set(uid, pod);
      this.#work();
    });
    this.#unschedulable.set(uid, { pod, attempts, cancel });
    const known = this.#options.informers.get(Pods).get(keyOf(pod)) ?? pod;
    const before = known.status?.conditions?.find((condition) => condition.type === 'PodScheduled');
    if (before?.status === 'False' && before.message === message) return;
    this.#events.record({ regarding: pod, type: 'Warning', reason: 'FailedScheduling', message });
    void this.#report(pod, message);
  }

  async #report(pod: Pod, message: string): Promise<void> {
    const { client, clock, logger } = this.#options;
    const condition: PodCondition = {
      type: 'PodScheduled',
      status: 'False',
      reason: 'Unschedulable',
      message,
      lastTransitionTime: timestamp(clock.now()),
    };
    const key = { namespace: pod.metadata.namespace, name: pod.metadata.name! };
    const body = { metadata: { uid: pod.metadata.uid }, status: { conditions: [condition] } };
    await client
      .patch(Pods, key, { type: 'strategic', body }, { subresource: 'status', fieldManager: this.#name })
      .catch((error: unknown) => {
        if (!isReason(error, 'NotFound', 'Conflict'))
          logger.warn({ pod: keyOf(pod), error: String(error) }, 'cannot report why the pod is pending');
      });
  }
}

const priority = (pod: Pod): number => pod.spec?.priority ?? 0;
