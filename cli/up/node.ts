import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { NodeStreams } from '@trimtab/client';
import {
  directoryImageStore,
  type Kubelet,
  nativeRuntime,
  podCgroupRoots,
  releaseMemory,
  startKubelet,
  stopPods,
  withHandlers,
} from '@trimtab/kubelet-lite';
import { type Network, removeNetwork, startNetwork } from '@trimtab/net-plugin';
import { componentUsers } from '@trimtab/server';
import { coreBinary } from '../core-binary.js';
import { coreHelper, nodeCredentials } from '../images/credentials.js';
import { architecture, proxiesOf, readRegistries, userAgent } from '../images/open.js';
import { allOf } from './all-of.js';
import type { Ambient, ControlPlane } from './control-plane.js';
import { restartBackOff, runtimeHandlers } from './node-options.js';
import { nodeSettings } from './node-settings.js';
import type { UpOptions } from './options.js';

/** This machine as a node: native core, pod network with Services and DNS, kubelet. */
export interface LocalNode {
  readonly streams: NodeStreams;
  /** Where pods reach the API server. */
  readonly address: string;
  /** The machine goes: where that was asked for, pods end in their order and fail, for others to take their place. */
  leave(): Promise<void>;
  /** Ends pods with their grace, then network and native core: nothing of the cluster is left on the machine but files. */
  shutDown(): Promise<void>;
}

/** How long containers have to end when the whole node stops. */
const GRACE_MS = 3_000;

export async function startLocalNode(options: UpOptions, ambient: Ambient, plane: ControlPlane): Promise<LocalNode> {
  const { clock, random, logger } = ambient;
  const { paths, nodeName, podCidr, serviceCidr, dnsDomain, dnsIP } = options;
  const handlers = runtimeHandlers(options);
  const backOff = restartBackOff(options);
  const { shutdown, ...settings } = nodeSettings(options);
  const runtime = await nativeRuntime({ coreBinary, runDir: paths.run, logger, clock });
  const networkOptions = {
    client: plane.client(componentUsers.node(nodeName)),
    kernel: runtime.core,
    clock,
    random,
    logger,
    podCidr,
    serviceCidr,
    clusterDomain: dnsDomain,
    dnsIP,
    nodeName,
    nodeIPs: [],
    stateDir: paths.network,
    upstreams: await nameservers(),
  };
  let network: Network | undefined;
  let kubelet: Kubelet | undefined;
  const shutDown = (): Promise<void> =>
    allOf(
      () => kubelet?.stop(),
      async () => {
        await stopPods(runtime, clock, GRACE_MS);
        await releaseMemory(paths.pods, runtime.volumeMounts);
      },
      () => network?.stop(),
      () => (network ? removeNetwork(networkOptions) : undefined),
      () => runtime.core.request('core.exit', { emptyGroups: podCgroupRoots }).catch(() => {}),
      () => runtime.close(),
    );
  try {
    network = await startNetwork(networkOptions);
    const images = await directoryImageStore({
      directory: paths.images,
      coreBinary,
      architecture: architecture(),
      clock,
      random,
      logger,
      userAgent,
      proxies: proxiesOf(process.env),
      registries: () => readRegistries(join(paths.data, 'registries.yaml')),
    });
    kubelet = await startKubelet({
      client: plane.client(componentUsers.node(nodeName)),
      runtime: withHandlers(runtime, handlers, { stateDir: join(paths.run, 'oci'), clock }),
      ...settings,
      restartBackOff: backOff,
      network: network.network,
      images,
      registryCredentials: (image) => nodeCredentials(paths.data, image, coreHelper(runtime.core)),
      nodeName,
      nodeIP: network.nodeIP,
      podCIDR: podCidr,
      rootDir: paths.pods,
      logDir: join(paths.pods, 'logs'),
      volumesDir: paths.volumes,
      imagesDir: paths.images,
      clusterDns: [dnsIP],
      clusterDomain: dnsDomain,
      clock,
      random,
      logger,
    });
    const leave = async (): Promise<void> => {
      if (shutdown) await kubelet?.shutDown(shutdown);
    };
    return { streams: kubelet.streams, address: network.nodeIP, leave, shutDown };
  } catch (error) {
    await shutDown().catch(() => {});
    throw error;
  }
}

/** The machine's own name servers, for names outside the cluster; loopback ones are out of pods' reach. */
async function nameservers(): Promise<readonly string[]> {
  const text = await readFile('/etc/resolv.conf', 'utf8').catch(() => '');
  return [...text.matchAll(/^nameserver\s+(\d+\.\d+\.\d+\.\d+)/gm)]
    .map((m) => m[1]!)
    .filter((a) => !a.startsWith('127.'));
}
