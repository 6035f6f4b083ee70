import type { Client } from '@trimtab/client';
import type { Clock, Logger, Node, NodeStatus } from '@trimtab/machinery';
import { isReason, Nodes } from '@trimtab/machinery';
import type { Pressure } from '../eviction/decide.js';
import type { ImageStore } from '../images/image-store.js';
import { same } from '../pod/status-patch.js';
import type { EventRecorder } from './event-recorder.js';
import { type NodeFacts, nodeStatus } from './node-status.js';
import type { PodNetwork } from './pod-network.js';

export interface NodeReporterOptions {
  readonly client: Client;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly recorder: EventRecorder;
  readonly network: PodNetwork;
  readonly images: ImageStore;
  readonly facts: NodeFacts;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly taints?: readonly { readonly key: string; readonly value?: string; readonly effect: string }[];
  readonly podCIDR?: string;
  /** Why no pod can be run now, beyond what the network says. */
  readonly notReady?: () => string | undefined;
}

const CHECK_MS = 10_000;
const NOT_READY_CHECK_MS = 250;
/** Unchanged status is reported this often all the same. */
const REPORT_MS = 300_000;

/** Registers the node and keeps its status true: looked at every 10 s, written when it has changed or after 5 minutes. */
export class NodeReporter {
  readonly #options: NodeReporterOptions;
  #node: Node | undefined;
  #reportedAt = 0;
  #stopped = false;
  #cancel: (() => void) | undefined;
  #pressures: readonly Pressure[] = [];

  constructor(options: NodeReporterOptions) {
    this.#options = options;
  }

  get uid(): string | undefined {
    return this.#node?.metadata.uid;
  }

  /** Resolves when the API server knows the node and its first status. */
  async register(): Promise<void> {
    const { client, facts, labels, annotations = {}, taints, podCIDR, clock } = this.#options;
    const status = await this.#observe([]);
    const node: Node = {
      apiVersion: 'v1',
      kind: 'Node',
      metadata: { name: facts.nodeName, labels, ...(Object.keys(annotations).length > 0 ? { annotations } : {}) },
      spec: {
        ...(podCIDR ? { podCIDR, podCIDRs: [podCIDR] } : {}),
        ...(taints?.length ? { taints } : {}),
      },
      status,
    };
    this.#subject('Normal', 'Starting', 'Starting kubelet.');
    try {
      this.#node = await client.create(Nodes, node);
    } catch (error) {
      if (!isReason(error, 'AlreadyExists')) throw error;
      this.#node = await client.get(Nodes, { name: facts.nodeName });
      const { metadata } = this.#node;
      if (!holds(metadata.labels, labels) || !holds(metadata.annotations, annotations)) {
        const body = { metadata: { labels, annotations } };
        this.#node = await client.patch(Nodes, { name: facts.nodeName }, { type: 'merge', body });
      }
    }
    if (!same(bare(this.#node.status), bare(status))) await this.#write(status);
    this.#reportedAt = clock.now();
    this.#arm(status);
  }

  /** Told at once, for the scheduler is to know. */
  pressed(pressures: readonly Pressure[]): void {
    this.#pressures = pressures;
    this.#soon();
  }

  /** Whether pods can be run may have changed. */
  readinessChanged(): Promise<void> {
    this.#cancel?.();
    return this.#check();
  }

  stop(): void {
    this.#stopped = true;
    this.#cancel?.();
  }

  #arm(status: NodeStatus): void {
    if (this.#stopped) return;
    const ready = status.conditions?.some((c) => c.type === 'Ready' && c.status === 'True');
    this.#cancel = this.#options.clock.after(ready ? CHECK_MS : NOT_READY_CHECK_MS, () => void this.#check());
  }

  /** Instead of the check that is due; one under way is followed by another. */
  #soon(): void {
    if (this.#stopped) return;
    this.#cancel?.();
    this.#cancel = this.#options.clock.after(0, () => void this.#check());
  }

  async #check(): Promise<void> {
    const { clock, logger } = this.#options;
    const before = this.#node?.status;
    const status = await this.#observe(before?.conditions ?? []);
    try {
      if (!same(bare(before), bare(status)) || clock.now() - this.#reportedAt >= REPORT_MS) await this.#write(status);
    } catch (error) {
      logger.warn({ error: String(error) }, 'node status not written');
    }
    this.#arm(status);
  }

  async #observe(previous: NonNullable<NodeStatus['conditions']>): Promise<NodeStatus> {
    const { network, images, facts, clock } = this.#options;
    const [notReady, present] = await Promise.all([
      network.status().then(
        () => undefined,
        (error: unknown) =>
          `container runtime network not ready: ${error instanceof Error ? error.message : String(error)}`,
      ),
      images.list().catch(() => []),
    ]);
    const why = this.#options.notReady?.() ?? notReady;
    return nodeStatus(facts, present, why, this.#pressures, previous, clock.now());
  }

  async #write(status: NodeStatus): Promise<void> {
    const { client, clock, facts } = this.#options;
    const before = this.#node?.status;
    const patch = Object.fromEntries(
      Object.entries(status).filter(
        ([key, value]) => key === 'conditions' || !same(before?.[key as keyof NodeStatus], value),
      ),
    );
    this.#node = await client.patch(
      Nodes,
      { name: facts.nodeName },
      { type: 'strategic', body: { status: patch } },
      { subresource: 'status' },
    );
    this.#reportedAt = clock.now();
    for (const { type, status: is } of status.conditions ?? []) {
      const reason = CHANGES[type]?.[is];
      if (reason === undefined || before?.conditions?.find((c) => c.type === type)?.status === is) continue;
      this.#subject('Normal', reason, `Node ${facts.nodeName} status is now: ${reason}`);
    }
  }

  #subject(type: 'Normal' | 'Warning', reason: string, message: string): void {
    const name = this.#options.facts.nodeName;
    this.#options.recorder.event({ apiVersion: 'v1', kind: 'Node', name, uid: name }, type, reason, message);
  }
}

type Texts = Readonly<Record<string, string>>;

const holds = (present: Texts | undefined, wanted: Texts): boolean =>
  Object.entries(wanted).every(([key, value]) => present?.[key] === value);

/** What the kubelet calls a change of a condition, by the status it has then. */
const CHANGES: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  Ready: { True: 'NodeReady', False: 'NodeNotReady' },
  MemoryPressure: { True: 'NodeHasInsufficientMemory', False: 'NodeHasSufficientMemory' },
  DiskPressure: { True: 'NodeHasDiskPressure', False: 'NodeHasNoDiskPressure' },
  PIDPressure: { True: 'NodeHasInsufficientPID', False: 'NodeHasSufficientPID' },
};

/** A status without its times, to see whether anything has changed. */
function bare(status: NodeStatus | undefined): object {
  const { capacity, allocatable, addresses, nodeInfo, images, conditions, daemonEndpoints } = status ?? {};
  const facts = (conditions ?? [])
    .filter((c) => ['MemoryPressure', 'DiskPressure', 'PIDPressure', 'Ready'].includes(c.type))
    .map(({ type, status: is, reason, message }) => ({ type, is, reason, message }));
  return { capacity, allocatable, addresses, nodeInfo, images, daemonEndpoints, facts };
}
