import { Informers } from '@trimtab/client';
import type { Event, PodStatus } from '@trimtab/machinery';
import { Events, seededRandom, silentLogger, VirtualClock } from '@trimtab/machinery';
import { ApiEventRecorder } from '../node/event-recorder.js';
import type { MachineInfo } from '../node/machine-info.js';
import { podsOf } from '../node/pod-source.js';
import { type NodeOptions, type NodeParts, type RunningNode, startNode } from '../node/start-node.js';
import { PODS, type Pod } from '../pod/api.js';
import {
  SimulatedFiles,
  SimulatedImages,
  SimulatedNetwork,
  SimulatedProber,
  SimulatedVolumes,
} from '../simulated/simulated-node.js';
import { SimulatedRuntime } from '../simulated/simulated-runtime.js';
import { MemoryClient } from './memory-client.js';

export const testMachine: MachineInfo = {
  cpus: 4,
  memoryBytes: 8 * 2 ** 30,
  diskBytes: 100 * 2 ** 30,
  architecture: 'amd64',
  kernelVersion: '6.18.0',
  osImage: 'Debian GNU/Linux 12 (bookworm)',
  machineID: 'm',
  bootID: 'b',
  systemUUID: 's',
};

/** One node `n1` over an in-memory API in virtual time. Restart it with {@link boot} to see what a kubelet crash leaves. */
export class NodeUnderTest {
  readonly clock = new VirtualClock();
  readonly client = new MemoryClient(this.clock);
  readonly #runtime = new SimulatedRuntime(this.clock);
  readonly network = new SimulatedNetwork();
  readonly options: Partial<NodeOptions & NodeParts>;
  node: RunningNode | undefined;
  #informers: Informers | undefined;

  constructor(options: Partial<NodeOptions & NodeParts> = {}) {
    this.options = options;
  }

  get runtime(): SimulatedRuntime {
    return this.options.runtime instanceof SimulatedRuntime ? this.options.runtime : this.#runtime;
  }

  static async start(options: Partial<NodeOptions & NodeParts> = {}): Promise<NodeUnderTest> {
    const under = new NodeUnderTest(options);
    await under.boot();
    return under;
  }

  async boot(): Promise<void> {
    const { clock, client } = this;
    const random = seededRandom(1);
    const informers = new Informers({ client, clock, random, logger: silentLogger });
    const pods = podsOf(informers.get(PODS, { scope: { fieldSelector: 'spec.nodeName=n1' } }));
    informers.start();
    this.#informers = informers;
    const options: NodeOptions & NodeParts = {
      client,
      runtime: this.runtime,
      network: this.network,
      images: new SimulatedImages(),
      nodeName: 'n1',
      nodeIP: '192.168.0.1',
      clock,
      random,
      logger: silentLogger,
      machine: testMachine,
      pods,
      volumes: new SimulatedVolumes(),
      files: new SimulatedFiles(),
      prober: new SimulatedProber(),
      recorder: new ApiEventRecorder({ client, clock, random, logger: silentLogger, nodeName: 'n1' }),
      ...this.options,
    };
    const starting = startNode(options, options);
    await clock.advance(1);
    this.node = await starting;
  }

  async stop(): Promise<void> {
    await this.node?.stop();
    this.#informers?.stop();
  }

  /** Creates the pod as the scheduler leaves it, bound to the node, and lets the node work until nothing is due at once. */
  async run(pod: { readonly name: string } & Partial<Pod['spec']>): Promise<Pod> {
    const { name, ...spec } = pod;
    await this.client.create(PODS, {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { namespace: 'default', name },
      spec: { nodeName: 'n1', containers: [], ...spec },
      status: { phase: 'Pending' },
    });
    return this.settle(name);
  }

  async settle(name: string, ms = 50): Promise<Pod> {
    await this.clock.advance(ms);
    return this.pod(name);
  }

  pod(name: string): Promise<Pod> {
    return this.client.get(PODS, { namespace: 'default', name });
  }

  async status(name: string): Promise<PodStatus> {
    return (await this.pod(name)).status ?? {};
  }

  delete(name: string, gracePeriodSeconds?: number): Promise<unknown> {
    return this.client.delete(
      PODS,
      { namespace: 'default', name },
      gracePeriodSeconds === undefined ? {} : { gracePeriodSeconds },
    );
  }

  async exists(name: string): Promise<boolean> {
    return (await this.client.list(PODS)).items.some((pod) => pod.metadata.name === name);
  }

  /** The id of the pod's running container. */
  async containerId(pod: string, container: string): Promise<string> {
    const { uid } = (await this.pod(pod)).metadata;
    return this.node?.pods.worker(uid ?? '')?.container(container)?.containerId ?? '';
  }

  async exit(
    pod: string,
    container: string,
    code: number,
    how: { signal?: number; oomKilled?: boolean } = {},
  ): Promise<void> {
    this.runtime.exit(await this.containerId(pod, container), code, how);
    await this.clock.advance(0);
  }

  /** `reason: message` of every event about the pod, in order of first writing, with its count when above one. */
  async events(name: string): Promise<readonly string[]> {
    await this.clock.advance(1);
    const list = (await this.client.list(Events)).items as readonly Event[];
    return list
      .filter((event) => event.involvedObject.name === name)
      .map((event) => `${event.reason}: ${event.message}${(event.count ?? 1) > 1 ? ` (x${event.count})` : ''}`);
  }
}

export function condition(status: PodStatus, type: string): string | undefined {
  return status.conditions?.find((c) => c.type === type)?.status;
}
