import { Informers, type NodeStreams } from '@trimtab/client';
import { badRequest, Nodes, PersistentVolumes } from '@trimtab/machinery';
import { silentRecorder } from '../node/event-recorder.js';
import type { MachineInfo } from '../node/machine-info.js';
import { type PodSource, SharedPodSource } from '../node/pod-source.js';
import { type NodeOptions, type RunningNode, startNode } from '../node/start-node.js';
import { PODS, type Pod } from '../pod/api.js';
import { LOCAL_VOLUMES_DIR } from '../volumes/claim-volumes.js';
import { LocalVolumeRemover } from '../volumes/local-volume-remover.js';
import { type Lifecycles, NO_LIFECYCLES, scripted } from './lifecycle.js';
import { NodeFailures } from './node-failures.js';
import { ScriptedRuntime } from './scripted-runtime.js';
import {
  SimulatedFiles,
  SimulatedImages,
  SimulatedNetwork,
  SimulatedProber,
  SimulatedVolumes,
} from './simulated-node.js';
import { tickClock } from './tick-clock.js';

export interface SimulatedNodesOptions
  extends Pick<
    NodeOptions,
    'client' | 'clock' | 'random' | 'logger' | 'version' | 'restartBackOff' | 'pullBackOff' | 'labels'
  > {
  readonly count: number;
  /** Called so, in place of `count` and `prefix`; nodes that are there already become simulated ones. */
  readonly nodeNames?: readonly string[];
  /** Pods whose status stays as it is, until they are to go: nothing is started for them. */
  readonly settled?: (pod: Pod) => boolean;
  /** Nodes are named `<prefix>-<0…count-1>`; default `simulated`. */
  readonly prefix?: string;
  readonly maxPods?: number;
  readonly cpus?: number;
  readonly memoryBytes?: number;
  /** What others of this process know already: one cache of all pods is enough. Default: own ones, which end with the nodes. */
  readonly informers?: Informers;
  /** What pods and nodes are scripted to do beside what their annotations say. */
  readonly lifecycles?: Lifecycles;
}

export interface SimulatedNodes {
  readonly names: readonly string[];
  /** Refuses every stream: nothing runs that could be looked at. Undefined for names that are not ours. */
  streams(nodeName: string): NodeStreams | undefined;
  stop(): Promise<void>;
}

/** Nodes registered at the same time: enough to be quick, few enough to leave the API server to others. */
const REGISTER_AT_ONCE = 32;

/** Leases are renewed this often, spread evenly over the time, those due within a tick together. */
const LEASE_MS = 10_000;
const LEASE_TICK_MS = 100;

/**
 * Many nodes in one process: the same kubelet, over a runtime that runs nothing. One watch of all pods serves them all, and no
 * events are written. Resolves when all are registered.
 */
export async function startSimulatedNodes(options: SimulatedNodesOptions): Promise<SimulatedNodes> {
  const { client, clock, random, logger, prefix = 'simulated' } = options;
  const own = options.informers ? undefined : new Informers({ client, clock, random, logger });
  const informers = options.informers ?? own!;
  const shared = new SharedPodSource(informers.get(PODS), options.settled);
  own?.start();
  const machine: MachineInfo = {
    cpus: options.cpus ?? 32,
    memoryBytes: options.memoryBytes ?? 256 * 2 ** 30,
    diskBytes: 2 ** 40,
    architecture: 'amd64',
    kernelVersion: 'simulated',
    osImage: 'simulated',
    machineID: '',
    bootID: '',
    systemUUID: '',
  };
  const network = new SimulatedNetwork();
  const names = options.nodeNames ?? Array.from({ length: options.count }, (_, i) => `${prefix}-${i}`);
  const known = new Set(names);
  const remover = new LocalVolumeRemover({
    client,
    clock,
    logger,
    volumes: informers.get(PersistentVolumes),
    isHere: (hostname) => known.has(hostname),
    discard: async () => true,
  });
  remover.start();
  const lifecycles = options.lifecycles ?? NO_LIFECYCLES;
  const failures = new NodeFailures({ rules: lifecycles.nodes, clock, nodes: informers.get(Nodes) });
  const parts = {
    machine,
    files: new SimulatedFiles(lifecycles),
    volumes: new SimulatedVolumes(),
    recorder: silentRecorder,
  };
  const leaseClock = tickClock(clock, LEASE_TICK_MS);
  const start = (nodeName: string, index: number): Promise<RunningNode> => {
    const runtime = new ScriptedRuntime(clock);
    return startNode(
      {
        ...options,
        client: failures.clientOf(nodeName, client),
        runtime,
        network,
        images: new SimulatedImages(),
        nodeName,
        nodeIP: `10.${192 + ((index >> 16) & 0x3f)}.${(index >> 8) & 0xff}.${index & 0xff}`,
        maxPods: options.maxPods ?? 250,
        labels: { 'trimtab.io/simulated': 'true', ...options.labels },
        annotations: { [LOCAL_VOLUMES_DIR]: '/simulated/volumes' },
      },
      {
        ...parts,
        prober: new SimulatedProber(runtime),
        pods: scriptedSource(shared.forNode(nodeName), lifecycles),
        lease: { clock: leaseClock, firstRenewMs: ((index + 1) * LEASE_MS) / names.length },
      },
    );
  };
  const nodes: RunningNode[] = [];
  for (let from = 0; from < names.length; from += REGISTER_AT_ONCE) {
    const batch = names.slice(from, from + REGISTER_AT_ONCE);
    nodes.push(...(await Promise.all(batch.map((name, i) => start(name, from + i)))));
  }
  return {
    names,
    streams: (nodeName) => (known.has(nodeName) ? refusing(nodeName) : undefined),
    stop: async () => {
      remover.stop();
      failures.stop();
      await Promise.all(nodes.map((node) => node.stop()));
      own?.stop();
    },
  };
}

/** Pods as the kubelet is to see them; most are as they are. */
function scriptedSource(source: PodSource, lifecycles: Lifecycles): PodSource {
  return {
    whenSynced: () => source.whenSynced(),
    listen: (handler) =>
      source.listen({
        seen: (pod) => handler.seen(scripted(pod, lifecycles)),
        removed: (pod) => handler.removed(pod),
      }),
  };
}

function refusing(nodeName: string): NodeStreams {
  const refuse = async (): Promise<never> => {
    throw badRequest(
      `node "${nodeName}" is simulated: its pods run nothing, so there are no logs or processes to reach`,
    );
  };
  return { logs: refuse, exec: refuse, attach: refuse, portForward: refuse };
}
