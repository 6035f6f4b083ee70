import type { Client } from '@trimtab/client';
import type { EventRecorder } from '@trimtab/framework';
import {
  type Binding,
  type Clock,
  isReason,
  keyOf,
  type Logger,
  type ObjectKey,
  type Pod,
  type PodCondition,
  Pods,
  sleep,
  timestamp,
} from '@trimtab/machinery';
import type { Preemption } from './preempt.js';

/** Between two questions whether a binding of which nothing was heard has been made. */
const LOOK_AGAIN_MS = 1_000;

export interface BinderOptions {
  readonly client: Client;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly events: EventRecorder;
  /** Field manager, and who the events are from. */
  readonly name: string;
}

/** Writes decisions: bindings, why a pod waits, and whom it displaces. */
export class Binder {
  readonly #options: BinderOptions;

  constructor(options: BinderOptions) {
    this.#options = options;
  }

  /**
   * Undefined once the pod is on the node; otherwise why it is on none. A lost answer is looked up until there is one: a
   * binding that was made in silence takes its room all the same.
   */
  async bind(uid: string, pod: Pod, node: string): Promise<unknown> {
    const { client, clock, events } = this.#options;
    const key = { namespace: pod.metadata.namespace, name: pod.metadata.name! };
    const binding: Binding = {
      apiVersion: 'v1',
      kind: 'Binding',
      metadata: { ...key, uid },
      target: { apiVersion: 'v1', kind: 'Node', name: node },
    };
    try {
      await client.subresource(Pods, key, 'binding', 'create', binding);
    } catch (refusal) {
      for (;;) {
        const there = await this.#nodeOf(uid, key);
        if (there === node) break;
        if (there !== undefined) return refusal;
        await sleep(clock, LOOK_AGAIN_MS);
      }
    }
    const message = `Successfully assigned ${keyOf(pod)} to ${node}`;
    events.record({ regarding: pod, type: 'Normal', reason: 'Scheduled', message });
    return undefined;
  }

  /** Empty when it is on none, or is no more; undefined when the API does not say. */
  async #nodeOf(uid: string, key: ObjectKey): Promise<string | undefined> {
    try {
      const pod = await this.#options.client.get(Pods, key);
      return pod.metadata.uid === uid ? (pod.spec?.nodeName ?? '') : '';
    } catch (error) {
      return isReason(error, 'NotFound', 'Forbidden') ? '' : undefined;
    }
  }

  /**
   * Says in the pod's condition and an event why it waits, once for each new answer; `nominated` where room is being made.
   * False when that could not be said.
   */
  async reportWaiting(pod: Pod, message: string, nominated?: string): Promise<boolean> {
    const before = pod.status?.conditions?.find(({ type }) => type === 'PodScheduled');
    const told = before?.status === 'False' && before.message === message;
    if (told && pod.status?.nominatedNodeName === nominated) return true;
    const { clock, events } = this.#options;
    if (!told) events.record({ regarding: pod, type: 'Warning', reason: 'FailedScheduling', message });
    const condition: PodCondition = {
      type: 'PodScheduled',
      status: 'False',
      reason: 'Unschedulable',
      message,
      lastTransitionTime: timestamp(clock.now()),
    };
    const status = { conditions: [condition], nominatedNodeName: nominated ?? null };
    return this.#done(pod, 'cannot report why the pod is pending', () => this.#patchStatus(pod, status));
  }

  /** Takes back a promise of room to a pod of lower priority. False when that could not be said. */
  withdraw(pod: Pod): Promise<boolean> {
    const status = { nominatedNodeName: null };
    return this.#done(pod, 'cannot withdraw the nomination', () => this.#patchStatus(pod, status));
  }

  /** Marks the victims with the reason and deletes them; those that are leaving already are left to leave. False: not all. */
  async preempt(pod: Pod, { node, victims }: Preemption): Promise<boolean> {
    const { client, clock, events, name } = this.#options;
    const condition: PodCondition = {
      type: 'DisruptionTarget',
      status: 'True',
      reason: 'PreemptionByScheduler',
      message: `${name}: preempting to accommodate a higher priority pod`,
      lastTransitionTime: timestamp(clock.now()),
    };
    let all = true;
    for (const { pod: victim } of victims) {
      if (victim.metadata.deletionTimestamp) continue;
      const { namespace, name: victimName, uid } = victim.metadata;
      const gone = await this.#done(victim, 'cannot preempt the pod', async () => {
        await this.#patchStatus(victim, { conditions: [condition] });
        await client.delete(Pods, { namespace, name: victimName! }, { preconditions: { uid } });
        const message = `Preempted by pod ${pod.metadata.uid} on node ${node}`;
        events.record({ regarding: victim, type: 'Normal', reason: 'Preempted', message });
      });
      all &&= gone;
    }
    return all;
  }

  async #patchStatus(pod: Pod, status: object): Promise<void> {
    const { client, name: fieldManager } = this.#options;
    const { namespace, name, uid } = pod.metadata;
    const body = { metadata: { uid }, status };
    await client.patch(
      Pods,
      { namespace, name: name! },
      { type: 'strategic', body },
      { subresource: 'status', fieldManager },
    );
  }

  /** Whether it could be done, or there is nobody any more to do it to. */
  async #done(pod: Pod, failing: string, write: () => Promise<void>): Promise<boolean> {
    try {
      await write();
      return true;
    } catch (error) {
      if (isReason(error, 'NotFound')) return true;
      if (!isReason(error, 'Conflict')) this.#options.logger.warn({ pod: keyOf(pod), error: String(error) }, failing);
      return false;
    }
  }
}
