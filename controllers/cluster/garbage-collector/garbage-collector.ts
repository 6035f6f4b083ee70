import type { Change, Client, Informers } from '@trimtab/client';
import { EventRecorder, Executor, MachineEvaluator, WorkQueue } from '@trimtab/framework';
import {
  type Clock,
  isReason,
  joinKey,
  type KubeObject,
  type Logger,
  type Random,
  type ResourceType,
} from '@trimtab/machinery';
import { FollowedKinds } from '../followed-kinds.js';
import { FOREGROUND, ORPHAN, ownerState } from './facts.js';
import { type GraphNode, graphNode, isAsKnown, OwnerGraph } from './graph.js';
import { collectionMachine } from './machine.js';
import { Observer } from './observer.js';

export interface GarbageCollectorOptions {
  readonly client: Client;
  readonly informers: Informers;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

const NAME = 'garbage-collector-controller';

/** Judgements under way at a time (kubernetes: --concurrent-gc-syncs). */
const CONCURRENCY = 20;

/**
 * Deletes objects whose owners are gone, carries out foreground and orphan deletion. It follows every kind there is; what
 * it is about to delete, and the owners it finds missing, it reads from the server first, so a late cache deletes nothing.
 */
export class GarbageCollector {
  readonly #options: GarbageCollectorOptions;
  readonly #graph = new OwnerGraph();
  readonly #queue: WorkQueue;
  readonly #kinds: FollowedKinds;
  readonly #observer: Observer;
  readonly #evaluator = new MachineEvaluator(collectionMachine);
  readonly #executor: Executor;
  readonly #states = new Map<string, string>();

  constructor(options: GarbageCollectorOptions) {
    this.#options = options;
    const { client, informers, clock, random, logger } = options;
    this.#queue = new WorkQueue(clock, () => this.#work());
    this.#kinds = new FollowedKinds(informers, {
      changed: (type, change) => this.#onChange(type, change),
      complete: () => this.#work(),
    });
    this.#observer = new Observer({ client, informers, graph: this.#graph, kinds: this.#kinds });
    const recorder = new EventRecorder({ client, clock, logger, source: NAME });
    this.#executor = new Executor({ controller: NAME, client, informers, random, recorder });
  }

  /** Judges nothing before every kind has been listed once. */
  start(): Promise<void> {
    return this.#kinds.start();
  }

  async stop(): Promise<void> {
    this.#kinds.stop();
    this.#queue.close();
  }

  /** By uid, the state of every object that is there and not simply to stay or on its way out by itself. */
  get states(): ReadonlyMap<string, string> {
    return this.#states;
  }

  #onChange(type: ResourceType, change: Change<KubeObject>): void {
    const before = this.#graph.get(change.object.metadata.uid!);
    const same = change.type === 'updated' && before !== undefined && isAsKnown(before, change.object);
    const node = same ? before : graphNode(type, change.object);
    if (change.type === 'deleted') {
      const dependents = this.#graph.dependents(node.uid);
      this.#graph.remove(node.uid);
      this.#states.delete(node.uid);
      this.#judge(dependents);
    } else {
      if (!same) this.#graph.put(node);
      if (needsJudging(node, this.#graph)) this.#queue.add(node.uid);
      else this.#states.delete(node.uid);
      if (node.deleting && node.finalizers.includes(FOREGROUND)) this.#judge(this.#graph.dependents(node.uid));
    }
    // An owner in foreground deletion may have waited for this one to go, or to let go of it.
    for (const { uid } of node.owners) if (this.#graph.get(uid)?.deleting) this.#queue.add(uid);
    if (before && before.owners !== node.owners)
      for (const { uid } of before.owners) if (this.#graph.get(uid)?.deleting) this.#queue.add(uid);
  }

  #judge(nodes: readonly GraphNode[]): void {
    for (const { uid, deleting } of nodes) if (!deleting) this.#queue.add(uid);
  }

  #work(): void {
    if (!this.#kinds.isComplete) return;
    while (this.#queue.active < CONCURRENCY) {
      const uid = this.#queue.take();
      if (uid === undefined) return;
      void this.#process(uid);
    }
  }

  async #process(uid: string): Promise<void> {
    const node = this.#graph.get(uid);
    try {
      // What the first lists brought before its owner has one by now: that needs no question.
      if (node !== undefined && needsJudging(node, this.#graph)) await this.#collect(node);
      this.#queue.forget(uid);
    } catch (error) {
      // Conflict: somebody changed it meanwhile, and that change will bring it here again; but it may not be a cause to.
      if (!isReason(error, 'Conflict'))
        this.#options.logger.warn({ ...describe(node), error: String(error) }, 'garbage collection');
      this.#queue.addRateLimited(uid);
    } finally {
      this.#queue.done(uid);
      this.#work();
    }
  }

  async #collect(node: GraphNode): Promise<void> {
    const { place, effects } = this.#evaluator.place(await this.#observer.observe(node));
    this.#publish(node.uid, place.value as string);
    await this.#executor.run(node.uid, effects);
  }

  #publish(uid: string, state: string): void {
    if (state === 'solid' || state === 'gone' || this.#graph.get(uid) === undefined) this.#states.delete(uid);
    else this.#states.set(uid, state);
  }
}

/** It may have to go, or to be helped going. */
function needsJudging(node: GraphNode, graph: OwnerGraph): boolean {
  if (node.deleting) return node.finalizers.includes(ORPHAN) || node.finalizers.includes(FOREGROUND);
  return node.owners.some(({ uid }) => {
    const owner = graph.get(uid);
    return owner?.deleting === true || ownerState(owner, node.key.namespace) !== 'solid';
  });
}

const describe = (node: GraphNode | undefined): object =>
  node === undefined ? {} : { resource: node.type.resource, key: joinKey(node.key) };
