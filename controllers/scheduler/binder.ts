import type { Client } from '@trimtab/client';
import type { EventRecorder } from '@trimtab/framework';
import {
  type Binding,
  type Clock,
  isReason,
  keyOf,
  type Logger,
  type Pod,
  type PodCondition,
  Pods,
  timestamp,
} from '@trimtab/machinery';
import type { Preemption } from './preempt.js';

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

  /** Rejects where the API refuses. */
  async bind(uid: string, pod: Pod, node: string): Promise<void> {
    const key = { namespace: pod.metadata.namespace, name: pod.metadata.name! };
    const binding: Binding = {
      apiVersion: 'v1',
      kind: 'Binding',
      metadata: { ...key, uid },
      target: { apiVersion: 'v1', kind: 'Node', name: node },
    };
    await this.#options.client.subresource(Pods, key, 'binding', 'create', binding);
    const message = `Successfully assigned ${keyOf(pod)} to ${node}`;
    this.#options.events.record({ regarding: pod, type: 'Normal', reason: 'Scheduled', message });
  }

  /** Says in the pod's condition and an event why it waits, once for each new answer; `nominated` where room is being made. */
  reportWaiting(pod: Pod, message: string, nominated?: string): void {
    const before = pod.status?.conditions?.find(({ type }) => type === 'PodScheduled');
    const told = before?.status === 'False' && before.message === message;
    if (told && pod.status?.nominatedNodeName === nominated) return;
    const { clock, events } = this.#options;
    if (!told) events.record({ regarding: pod, type: 'Warning', reason: 'FailedScheduling', message });
    const condition: PodCondition = {
      type: 'PodScheduled',
      status: 'False',
      reason: 'Unschedulable',
      message,
      lastTransitionTime: timestamp(clock.now()),
    };
    void this.#patchStatus(pod, { conditions: [condition], nominatedNodeName: nominated ?? null }).catch(
      (error: unknown) => this.#warn(pod, error, 'cannot report why the pod is pending'),
    );
  }

  /** Takes back a promise of room to a pod of lower priority. */
  withdraw(pod: Pod): void {
    void this.#patchStatus(pod, { nominatedNodeName: null }).catch((error: unknown) =>
      this.#warn(pod, error, 'cannot withdraw the nomination'),
    );
  }

  /** Marks the victims with the reason and deletes them; those that are leaving already are left to leave. */
  async preempt(pod: Pod, { node, victims }: Preemption): Promise<void> {
    const { client, clock, events, name } = this.#options;
    const condition: PodCondition = {
      type: 'DisruptionTarget',
      status: 'True',
      reason: 'PreemptionByScheduler',
      message: `${name}: preempting to accommodate a higher priority pod`,
      lastTransitionTime: timestamp(clock.now()),
    };
    for (const { pod: victim } of victims) {
      if (victim.metadata.deletionTimestamp) continue;
      const { namespace, name: victimName, uid } = victim.metadata;
      try {
        await this.#patchStatus(victim, { conditions: [condition] });
        await client.delete(Pods, { namespace, name: victimName! }, { preconditions: { uid } });
      } catch (error) {
        this.#warn(victim, error, 'cannot preempt the pod');
        continue;
      }
      const message = `Preempted by pod ${pod.metadata.uid} on node ${node}`;
      events.record({ regarding: victim, type: 'Normal', reason: 'Preempted', message });
    }
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

  #warn(pod: Pod, error: unknown, what: string): void {
    if (isReason(error, 'NotFound', 'Conflict')) return;
    this.#options.logger.warn({ pod: keyOf(pod), error: String(error) }, what);
  }
}
