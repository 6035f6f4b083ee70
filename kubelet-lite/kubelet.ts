import * as fs from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { type Client, Informers, type NodeStreams } from '@trimtab/client';
import { PersistentVolumes, RuntimeClasses, Services } from '@trimtab/machinery';
import { NodeFiles } from './container/node-files.js';
import { podLayout } from './container/pod-layout.js';
import { nodeUserNamespaces } from './container/user-namespaces.js';
import { configurationOf } from './node/configuration.js';
import { ApiEventRecorder } from './node/event-recorder.js';
import { endPods, SHUTTING_DOWN, type ShutdownGrace } from './node/graceful-shutdown.js';
import type { ImageGcPolicy } from './node/image-gc.js';
import { readMachine } from './node/machine-info.js';
import { ownMemoryDir } from './node/memory-dir.js';
import { nodeAllocatable } from './node/node-status.js';
import { NodeObservers } from './node/observers.js';
import { podsOf } from './node/pod-source.js';
import { type NodeOptions, nodeFacts, type RunningNode, startNode } from './node/start-node.js';
import { manifestFolder } from './node/static/manifest-folder.js';
import { StaticPods } from './node/static/static-pods.js';
import { keepUp } from './node/upkeep.js';
import { withMethods } from './node/with-methods.js';
import { PODS, type Pod } from './pod/api.js';
import { podSubject } from './pod/pod-context.js';
import { NodeProber } from './probes/node-prober.js';
import { rotateLogs } from './streams/log-rotation.js';
import { PodStreams } from './streams/node-streams.js';
import { LOCAL_VOLUMES_DIR } from './volumes/claim-volumes.js';
import { nodeVolumes } from './volumes/node-volumes.js';

export interface KubeletOptions extends NodeOptions {
  /** Pods' files: volumes, `/etc` files, writable layers. Must be the same after a restart. */
  readonly rootDir: string;
  /** Containers' logs; default `<rootDir>/logs`. */
  readonly logDir?: string;
  /**
   * A directory on a tmpfs for emptyDirs of medium Memory and the pods' `/dev/shm`; default below `/dev/shm` where that is
   * one. Without any, such emptyDirs are refused and each container has a `/dev/shm` of its own.
   */
  readonly memoryDir?: string;
  /** Persistent volumes of this node, one directory each; default `<rootDir>/volumes`. Must be the same after a restart. */
  readonly volumesDir?: string;
  readonly clusterDns: readonly string[];
  readonly clusterDomain: string;
  /** Processes and threads a pod may have; default no limit of its own. */
  readonly podPidsLimit?: number;
  /** A directory on the file system where images are; default the root directory. */
  readonly imagesDir?: string;
  /** When unused images go; default as Kubernetes: from 85 % of the disk down to 80 %. */
  readonly imageGc?: ImageGcPolicy;
  /** How long a pressure is told of after it was seen last; default 5 minutes. */
  readonly pressureTransitionMs?: number;
  /** The grace of pods that are evicted at a soft threshold, at most; default none. */
  readonly maxPodGraceMs?: number;
  /** Manifests of pods that run here whatever the API says. */
  readonly staticPodsDir?: string;
  /** What is kept of the logs of pods that are gone; default 100 MiB, 0: nothing. */
  readonly goneLogsBytes?: number;
}

export interface Kubelet {
  /** Logs, exec, attach and port-forward of this node's pods, for the API server. */
  readonly streams: NodeStreams;
  /**
   * The machine is about to go: the node is not ready any more, takes no pods, and ends those it has, by the table. Resolves when
   * they have ended or their time is up; {@link stop} is still to be called.
   */
  shutDown(table: readonly ShutdownGrace[]): Promise<void>;
  /** Resolves with all pods left running; the next start adopts them. */
  stop(): Promise<void>;
}

/**
 * Runs this machine as a node: registers it, adopts pods that an earlier kubelet left running, and from then on keeps the pods
 * bound to the node as their objects say. Resolves once the node is registered and every living pod is adopted. Rejects when the
 * API server cannot be reached at all or the root directory cannot be made.
 */
export async function startKubelet(options: KubeletOptions): Promise<Kubelet> {
  const { client, clock, random, logger, rootDir, nodeName } = options;
  let leaving = false;
  await fs.mkdir(join(rootDir, 'pods'), { recursive: true, mode: 0o750 });
  const machine = options.machine ?? (await readMachine(rootDir));
  const memoryDir = options.memoryDir ?? (await ownMemoryDir(rootDir));
  const layout = podLayout(rootDir, options.logDir ?? join(rootDir, 'logs'), memoryDir);
  let node: RunningNode | undefined;
  const observers = new NodeObservers({
    ...options,
    layout,
    imagesDir: options.imagesDir ?? rootDir,
    pod: (uid) => node?.pods.worker(uid)?.pod,
  });
  const { runtime, images } = observers;
  const allocatable = nodeAllocatable(nodeFacts(options, machine));
  // Volumes cannot show addresses; where the environment does, it is given those the sandbox has.
  const downward = (pod: Pod) => ({ pod, nodeName, hostIP: options.nodeIP, podIPs: [], allocatable });
  const volumesDir = resolve(options.volumesDir ?? join(rootDir, 'volumes'));
  const recorder = observers.recorder(new ApiEventRecorder({ client, clock, random, logger, nodeName }));
  const userNamespaces = nodeUserNamespaces(layout.podsDir);
  const onNode = nodeVolumes({
    ...options,
    layout,
    userNamespaces,
    volumesDir,
    images,
    recorder,
    downward,
    ...(runtime.volumeMounts ? { mounts: runtime.volumeMounts } : {}),
  });
  const { volumes, tracker } = onNode;
  const informers = new Informers({ client, clock, random, logger });
  const services = informers.get(Services);
  const pods = informers.get(PODS, { scope: { fieldSelector: `spec.nodeName=${nodeName}` } });
  informers.start();
  // A pod must not start without the variables of services that are there.
  await services.whenSynced();
  const files = new NodeFiles({
    layout,
    userNamespaces,
    volumes,
    tracker,
    services: () => services.list(),
    clusterDns: options.clusterDns,
    clusterDomain: options.clusterDomain,
    nodeMemoryBytes: machine.memoryBytes,
    ...(options.podPidsLimit ? { podPidsLimit: options.podPidsLimit } : {}),
    downward,
    runtimeHandler: (name) => handlerOf(client, name),
    ...(runtime.volumeMounts ? { mounts: runtime.volumeMounts } : {}),
    warn: (pod, reason, message) => recorder.event(podSubject(pod), 'Warning', reason, message),
  });
  const annotations = { ...options.annotations, [LOCAL_VOLUMES_DIR]: volumesDir };
  const source = podsOf(pods);
  const statics =
    options.staticPodsDir === undefined
      ? undefined
      : new StaticPods({
          folder: manifestFolder(options.staticPodsDir, clock, logger),
          source,
          nodeName,
          client,
          clock,
          logger,
          isHere: (uid) => node?.pods.worker(uid) !== undefined,
        });
  await observers.catchUp();
  node = await startNode(
    { ...options, client: statics?.clientFor(client) ?? client, runtime, images, annotations },
    {
      machine,
      pods: statics ?? source,
      notReady: () => (leaving ? SHUTTING_DOWN : undefined),
      volumes,
      files: observers.files(files),
      prober: observers.prober(new NodeProber(runtime, clock)),
      recorder,
    },
  );
  const { pods: own, stop, readinessChanged } = node;
  // The API knows static pods by their mirrors.
  const running = statics ? withMethods(own, { worker: (uid) => own.worker(statics.ownUid(uid)) }) : own;
  onNode.follow(pods, informers.get(PersistentVolumes), running);
  const stopUpkeep = keepUp({
    ...options,
    node,
    runtime,
    layout,
    volumes,
    recorder,
    imagesDir: options.imagesDir ?? rootDir,
    gone: observers.gone,
    figures: observers.figures,
    machine,
    lookAtKernel: () => observers.lookAtKernel(recorder),
  });
  const stopRotation = rotateLogs({
    clock,
    logger,
    logs: () =>
      running.runningContainers().map((c) => ({ containerId: c.id, path: layout.log(c.pod, c.name, c.attempt) })),
    reopen: (containerId) => runtime.reopenLog(containerId),
  });
  return {
    streams: new PodStreams({
      pods: running,
      runtime,
      clock,
      logPath: (worker, container, attempt) => layout.log(worker.pod, container, attempt),
      pages: observers.pages(running, volumes, () => configurationOf(options)),
    }),
    shutDown: async (table) => {
      leaving = true;
      stopUpkeep();
      await readinessChanged();
      await endPods(own, table, clock);
    },
    stop: async () => {
      stopRotation();
      stopUpkeep();
      observers.stop();
      await stop();
      onNode.stop();
      informers.stop();
    },
  };
}

/** The names under which a RuntimeClass means the node's own runtime. */
const OWN_HANDLERS: readonly string[] = ['trimtab'];

async function handlerOf(client: Client, runtimeClassName: string): Promise<string> {
  const { handler } = await client.get(RuntimeClasses, { name: runtimeClassName });
  return OWN_HANDLERS.includes(handler) ? '' : handler;
}
