import type { Change, Client, Informer, Informers } from '@trimtab/client';
import { EventRecorder } from '@trimtab/framework';
import {
  type Clock,
  isReason,
  keyOf,
  type Logger,
  Namespaces,
  type Node,
  Nodes,
  type Pod,
  PodDisruptionBudgets,
  Pods,
  type Random,
} from '@trimtab/machinery';
import { isTerminal } from '../workloads/pods.js';
import { Binder } from './binder.js';
import { Picture } from './picture.js';
import type { WakeReason } from './plugins/plugin.js';
import { type PodInfo, podInfo, verdictKey } from './pod-info.js';
import { preempt } from './preempt.js';
import { PROFILES, type Profile } from './profile.js';
import { SchedulingQueue } from './queue.js';
import { type Decision, type Failure, schedule } from './schedule.js';
import { ClusterSurroundings } from './surroundings.js';
import { Ties } from './ties.js';
import { VolumeBinder } from './volume-binder.js';
import { planVolumes } from './volumes.js';

export interface SchedulerOptions {
  readonly client: Client;
  readonly informers: Informers;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** Whose pods are placed, and how; pods that name another scheduler are left to it. Default {@link PROFILES}. */
  readonly profiles?: readonly Profile[];
}

/** Decisions made before others get a turn of the event loop. */
const SLICE = 32;
/** Bindings on their way at a time; more would only wait in the store's queue. */
const MAX_BINDING = 512;
const NAME = 'default-scheduler';

/**
 * Binds pods to nodes in the order of their priority, against a picture of the nodes that already contains its own
 * decisions, so that two pods are never promised the same room.
 */
export class Scheduler {
  readonly #options: SchedulerOptions;
  readonly #profiles: ReadonlyMap<string, Profile>;
  readonly #events: EventRecorder;
  readonly #binder: Binder;
  readonly #volumes: VolumeBinder;
  readonly #surroundings: ClusterSurroundings;
  readonly #picture: Picture;
  readonly #queue = new SchedulingQueue();
  readonly #ties = new Ties();
  readonly #binding = new Set<string>();
  /** What came of pods of a kind, and the picture it was decided in. */
  readonly #verdicts = new Map<string, { readonly version: number; readonly failure: Failure }>();
  readonly #stops: (() => void)[] = [];
  #from = 0;
  #running = false;
  #stopped = false;
  #turn: (() => void) | undefined;
  #timer: (() => void) | undefined;

  constructor(options: SchedulerOptions) {
    const { informers } = options;
    this.#options = options;
    this.#profiles = new Map((options.profiles ?? PROFILES).map((profile) => [profile.schedulerName, profile]));
    this.#events = new EventRecorder({ ...options, source: NAME });
    this.#binder = new Binder({ ...options, events: this.#events, name: NAME });
    this.#volumes = new VolumeBinder({ ...options, fieldManager: NAME });
    this.#surroundings = new ClusterSurroundings(informers, this.#volumes);
    this.#picture = new Picture(this.#surroundings);
  }

  /** Begins once everything it decides by is known. */
  async start(): Promise<void> {
    const { informers } = this.#options;
    const nodes = informers.get(Nodes);
    const pods = informers.get(Pods);
    const namespaces = informers.get(Namespaces);
    this.#stops.push(
      nodes.addHandler((change) => this.#onNode(change)).remove,
      pods.addHandler((change) => this.#onPod(change)).remove,
      namespaces.addHandler(() => this.#surroundingsChanged('NamespaceChanged')).remove,
    );
    const others = [nodes, pods, namespaces, informers.get(PodDisruptionBudgets)] as unknown as Informer<never>[];
    await Promise.all([
      ...others.map((informer) => informer.whenSynced()),
      this.#surroundings.whenSynced(),
      this.#volumes.start(() => this.#surroundingsChanged('StorageChanged')),
    ]);
    this.#running = true;
    this.#work();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    for (const stop of this.#stops) stop();
    this.#volumes.stop();
    this.#turn?.();
    this.#timer?.();
    await this.#events.flushed();
  }

  #onNode(change: Change<Node>): void {
    const { object } = change;
    if (change.type === 'deleted') {
      this.#picture.removeNode(object.metadata.name!);
      return;
    }
    const known = this.#picture.node(object.metadata.name!);
    const same = known && sameOffer(known.node, object);
    this.#picture.setNode(object);
    if (!same) this.#wake(known ? 'NodeChanged' : 'NodeAdded');
  }

  #onPod(change: Change<Pod>): void {
    const pod = change.object;
    const uid = pod.metadata.uid!;
    const node = pod.spec?.nodeName;
    const leaving = pod.metadata.deletionTimestamp !== undefined;
    const gone = change.type === 'deleted' || isTerminal(pod);
    if (gone || node || leaving) {
      this.#queue.forget(uid);
      this.#picture.withdraw(uid);
      this.#volumes.cancel(uid);
    }
    if (gone) {
      if (this.#picture.displace(uid)) this.#wake('PodGone');
    } else if (node) this.#count(pod, node);
    else if (!leaving && !this.#binding.has(uid)) this.#consider(uid, pod);
  }

  /** A gated pod is none of ours yet. */
  #consider(uid: string, pod: Pod): void {
    if (!this.#profiles.has(pod.spec?.schedulerName ?? '') || (pod.spec?.schedulingGates?.length ?? 0) > 0) return;
    if (pod.status?.nominatedNodeName && this.#picture.nominationOf(uid) === undefined)
      this.#picture.nominate(podInfo(pod), pod.status.nominatedNodeName);
    this.#queue.push(uid, pod);
    this.#work();
  }

  #count(pod: Pod, node: string): void {
    const known = this.#picture.placement(pod.metadata.uid!);
    const before = known?.pod.pod;
    if (known?.node === node && before && sameLoad(before, pod)) return;
    this.#picture.place(pod, node);
    this.#wake(before ? 'PodChanged' : 'PodAdded');
  }

  #surroundingsChanged(reason: WakeReason): void {
    this.#picture.surroundingsChanged();
    this.#wake(reason);
  }

  #wake(reason: WakeReason): void {
    if (!this.#running) return;
    this.#queue.wake(reason, this.#options.clock.now());
    this.#work();
  }

  /** Asks for a turn; however often it is asked, there is one. */
  #work(): void {
    this.#arm();
    const idle = this.#queue.activeCount === 0 || this.#binding.size >= MAX_BINDING;
    if (idle || !this.#running || this.#stopped || this.#turn) return;
    this.#turn = this.#options.clock.after(0, () => {
      this.#turn = undefined;
      this.#slice();
      this.#work();
    });
  }

  /** Decides synchronously; bindings go out concurrently, each already counted in the picture. */
  #slice(): void {
    for (const [uid, pod] of this.#queue.take(Math.min(SLICE, MAX_BINDING - this.#binding.size)))
      this.#decide(uid, pod);
  }

  #arm(): void {
    this.#timer?.();
    this.#timer = undefined;
    const due = this.#stopped ? undefined : this.#queue.nextDue();
    if (due === undefined) return;
    const { clock } = this.#options;
    this.#timer = clock.after(due - clock.now(), () => {
      this.#timer = undefined;
      this.#queue.due(clock.now());
      this.#work();
      this.#arm();
    });
  }

  #decide(uid: string, pod: Pod): void {
    const info = podInfo(pod);
    const profile = this.#profiles.get(pod.spec!.schedulerName!)!;
    const key = verdictKey(info);
    const known = this.#verdicts.get(key);
    // Nominated pods are special: room is being made for them.
    const nominated = this.#picture.nominationOf(uid) !== undefined;
    if (known?.version === this.#picture.version && !nominated) {
      this.#refuse(info, profile, known.failure);
      return;
    }
    const chance = this.#options.random.next();
    const decision = this.#choose(info, profile, chance, nominated);
    if ('failure' in decision) {
      if (known === undefined && this.#verdicts.size >= 1_000) this.#verdicts.clear();
      this.#verdicts.set(key, { version: this.#picture.version, failure: decision.failure });
      this.#refuse(info, profile, decision.failure);
      return;
    }
    this.#from = decision.next;
    const { storage } = this.#picture.surroundings;
    const volumes =
      info.claims.length > 0 && storage
        ? planVolumes(pod, this.#picture.node(decision.node)!.node, storage)
        : undefined;
    this.#picture.withdraw(uid);
    this.#picture.place(pod, decision.node);
    this.#wakeParked('PodAdded');
    this.#binding.add(uid);
    void this.#bind(uid, pod, decision.node, volumes && !('refusal' in volumes) ? volumes : undefined);
  }

  #choose(info: PodInfo, profile: Profile, chance: number, nominated: boolean): Decision {
    const again = nominated ? undefined : this.#ties.take(info, this.#picture, profile, chance);
    if (again) return { node: again.name, next: this.#from, equals: [again] };
    const decision = schedule(info, this.#picture, profile, { chance, from: this.#from });
    if ('node' in decision) this.#ties.keep(info, this.#picture, decision.equals, decision.node);
    return decision;
  }

  #wakeParked(reason: WakeReason): void {
    this.#queue.wake(reason, this.#options.clock.now());
  }

  async #bind(uid: string, pod: Pod, node: string, volumes: Parameters<VolumeBinder['bind']>[1] | undefined) {
    let refusal: unknown;
    try {
      if (volumes) await this.#volumes.bind(uid, volumes);
      refusal = await this.#binder.bind(uid, pod, node);
    } catch (error) {
      refusal = error;
    }
    this.#binding.delete(uid);
    if (refusal === undefined) this.#queue.forget(uid);
    else this.#onRefusal(uid, pod, node, refusal);
    this.#work();
  }

  /** It is on no node: its room is free again, and it is tried again if it is still there. */
  #onRefusal(uid: string, pod: Pod, node: string, refusal: unknown): void {
    // What was told meanwhile is the truth: it is gone, or somebody else has bound it.
    if (this.#picture.placement(uid)?.pod.pod.spec?.nodeName !== undefined) return;
    this.#picture.displace(uid);
    this.#wakeParked('PodGone');
    const current = this.#pendingVersion(pod);
    if (this.#stopped || !current) return;
    this.#queue.park(uid, current, new Set(), this.#options.clock.now());
    if (isReason(refusal, 'NotFound', 'Conflict')) return;
    this.#options.logger.warn({ pod: keyOf(pod), node, error: String(refusal) }, 'binding failed');
    const message = `binding rejected: ${refusal instanceof Error ? refusal.message : refusal}`;
    this.#tell(current, message);
  }

  /** Reports why a pod waits; where that fails, it is looked at again, and reported again. */
  #tell(pod: Pod, message: string, nominated?: string): void {
    void this.#binder.reportWaiting(pod, message, nominated).then((told) => told || this.#lookAgain(pod));
  }

  #lookAgain(pod: Pod): void {
    this.#queue.retry(pod.metadata.uid!);
    this.#work();
  }

  #pendingVersion(pod: Pod): Pod | undefined {
    const known = this.#options.informers.get(Pods).get(keyOf(pod));
    const pending = known?.metadata.uid === pod.metadata.uid && !known?.spec?.nodeName;
    return pending && !known?.metadata.deletionTimestamp ? known : undefined;
  }

  #refuse(info: PodInfo, profile: Profile, failure: Failure): void {
    const { clock, informers } = this.#options;
    const { uid } = info;
    const pod = this.#pendingVersion(info.pod) ?? info.pod;
    this.#queue.park(uid, pod, failure.plugins, clock.now());
    if (failure.preemptible.length === 0) {
      this.#tell(pod, failure.message);
      return;
    }
    const answer = preempt(info, this.#picture, profile, failure, informers.get(PodDisruptionBudgets).list());
    if ('message' in answer) {
      const nominated = this.#picture.nominationOf(uid);
      this.#tell(pod, `${failure.message} ${answer.message}`, nominated);
      return;
    }
    for (const other of [...this.#picture.nominatedTo(answer.node)])
      if (other.priority < info.priority) {
        this.#picture.withdraw(other.uid);
        void this.#binder.withdraw(other.pod).then((done) => done || this.#lookAgain(other.pod));
      }
    this.#picture.nominate(info, answer.node);
    this.#tell(pod, failure.message, answer.node);
    void this.#binder.preempt(pod, answer).then((done) => done || this.#lookAgain(pod));
  }
}

/** Whether two versions of a node offer the same; heartbeats and lists of volumes are no news. */
function sameOffer(a: Node, b: Node): boolean {
  return (
    equal(a.status?.allocatable, b.status?.allocatable) &&
    equal(a.metadata.labels, b.metadata.labels) &&
    equal(a.spec?.taints, b.spec?.taints) &&
    a.spec?.unschedulable === b.spec?.unschedulable
  );
}

/** Whether two versions of a pod weigh the same on their node and on others. */
function sameLoad(a: Pod, b: Pod): boolean {
  return (
    sameSpec(a.spec, b.spec) &&
    equal(a.metadata.labels, b.metadata.labels) &&
    a.metadata.deletionTimestamp === b.metadata.deletionTimestamp
  );
}

/** The node's name aside: it is what a binding adds. The containers are the same object where nothing was asked anew. */
function sameSpec(a: Pod['spec'], b: Pod['spec']): boolean {
  if (a === b || (a?.containers === b?.containers && a?.initContainers === b?.initContainers)) return true;
  return equal({ ...a, nodeName: undefined }, { ...b, nodeName: undefined });
}

const equal = (a: unknown, b: unknown): boolean => a === b || JSON.stringify(a) === JSON.stringify(b);
