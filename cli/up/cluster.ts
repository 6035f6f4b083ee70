import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { type Client, Informers } from '@trimtab/client';
import type { Controllers } from '@trimtab/controllers';
import { DefinitionController } from '@trimtab/crd';
import type { SimulatedNodes } from '@trimtab/kubelet-lite';
import { type Node, Nodes } from '@trimtab/machinery';
import { componentUsers, kubeconfig, publishKubernetesService } from '@trimtab/server';
import { keepClusterFile } from '../cluster-file.js';
import { CliError } from '../errors.js';
import { allOf } from './all-of.js';
import { type Ambient, type ControlPlane, localAddresses, startControlPlane } from './control-plane.js';
import { identitiesOf } from './identities.js';
import type { Leading } from './lead.js';
import { prepareForNodes } from './many-nodes.js';
import { AggregatedReader } from './metrics-reader.js';
import type { LocalNode } from './node.js';
import type { UpOptions } from './options.js';
import { watchUntil } from './watch-until.js';

/** A whole cluster, composed of what the floors below give. */
export interface Cluster {
  readonly plane: ControlPlane;
  /** Shared caches, for whoever wants to watch. */
  readonly informers: Informers;
  /** The node's address, where there is a real one. */
  readonly address: string | undefined;
  /** The machine goes: pods end in their order, where that was asked for. {@link stop} is still to be called. */
  leave(): Promise<void>;
  stop(): Promise<void>;
}

export type Milestone = 'api' | 'controllers' | 'network' | 'node';

/**
 * Resolves when every node is Ready and cluster DNS answers, or once the signal aborts and what has been started can be
 * stopped. What was started is stopped again when anything fails.
 */
export async function startCluster(
  options: UpOptions,
  ambient: Ambient,
  signal: AbortSignal,
  reached: (milestone: Milestone, fields: object) => void,
): Promise<Cluster> {
  let local: LocalNode | undefined;
  let simulated: SimulatedNodes | undefined;
  let controllers: Controllers | undefined;
  let leading: Leading | undefined;
  let own: Informers | undefined;
  let starting = true;
  const { simulatedLifecycle: script } = options;
  const lifecycles =
    script === undefined ? undefined : (await import('./simulated-lifecycle.js')).readLifecycles(script);
  keepClusterFile(options.paths, options);
  prepareForNodes(options.simulatedNodes);
  const plane = await startControlPlane(options, ambient, {
    nodeStreams: (name) => (name === options.nodeName ? local?.streams : simulated?.streams(name)),
    notReady: () => (starting ? ['cluster-start'] : []),
    renewed: () => {
      writeKubeconfig(options, plane).catch((error: unknown) =>
        ambient.logger.error({ err: error }, 'the renewed kubeconfig could not be written'),
      );
    },
  });
  const aggregated = new AggregatedReader(plane, ambient.clock);
  const stop = (): Promise<void> =>
    allOf(
      () => local?.shutDown(),
      () => simulated?.stop(),
      () => leading?.stop(),
      () => controllers?.stop(),
      () => own?.stop(),
      async () => aggregated.close(),
      () => plane.close(),
    );
  const leave = async (): Promise<void> => {
    // Nobody is to make pods anew that end now, with no node left to run them.
    const [leader, all] = [leading, controllers];
    leading = controllers = undefined;
    await allOf(
      () => leader?.stop(),
      () => all?.stop(),
    );
    await local?.leave();
  };
  try {
    await writeKubeconfig(options, plane);
    reached('api', { server: plane.server.url });
    // Loaded now, not before: the API has answered meanwhile.
    const { startControllers } = await import('@trimtab/controllers');
    const begin = (fenced: (client: Client) => Client): Promise<Controllers> =>
      startControllers({
        ...ambient,
        client: fenced(plane.client(componentUsers.controllerManager)),
        caCertificate: plane.pki.caCertificate,
        identities: identitiesOf(plane),
        metricsReader: (path) => aggregated.read(path),
        ...(options.eventTtl === undefined ? {} : { eventTtlMs: options.eventTtl * 60_000 }),
        ...(options.terminatedPodGcThreshold === undefined
          ? {}
          : { terminatedPodThreshold: options.terminatedPodGcThreshold }),
      });
    if (options.election === undefined) controllers = await begin((client) => client);
    else {
      own = new Informers({ ...ambient, client: plane.client(componentUsers.controllerManager) });
      own.start();
      leading = (await import('./lead.js')).lead({
        ...ambient,
        client: plane.client(componentUsers.apiServer),
        identity: `${options.nodeName}_${Buffer.from(ambient.random.bytes(8)).toString('hex')}`,
        times: options.election,
        begin,
      });
    }
    const informers = controllers?.informers ?? own!;
    new DefinitionController({ ...ambient, client: plane.client(componentUsers.apiServer), informers }).start();
    reached('controllers', {});
    // Loaded only where pods are run: it brings the kubelet, the network and the native core's client.
    if (options.node) local = await (await import('./node.js')).startLocalNode(options, ambient, plane);
    await publishService(options, plane, local?.address);
    if (options.simulatedNodes > 0)
      simulated = await (await import('@trimtab/kubelet-lite')).startSimulatedNodes({
        ...ambient,
        client: plane.client(componentUsers.apiServer),
        count: options.simulatedNodes,
        informers,
        ...(lifecycles ? { lifecycles } : {}),
      });
    const expected = [...(options.node ? [options.nodeName] : []), ...(simulated?.names ?? [])];
    await nodesReady(informers, expected, signal);
    if (!signal.aborted) reached('node', { nodes: expected.length });
    starting = signal.aborted;
    return { plane, informers, address: local?.address, leave, stop };
  } catch (error) {
    await stop().catch(() => {});
    throw error;
  }
}

async function publishService(options: UpOptions, plane: ControlPlane, address: string | undefined): Promise<void> {
  const addresses = address === undefined ? localAddresses().filter((a) => !a.includes(':')) : [address];
  if (addresses.length === 0) return;
  await publishKubernetesService({
    client: plane.client(componentUsers.apiServer),
    serviceAddress: options.kubernetesIP,
    addresses: addresses.slice(0, 1),
    port: plane.server.port,
  });
}

async function writeKubeconfig(options: UpOptions, { server, pki }: ControlPlane): Promise<void> {
  const text = kubeconfig({ server: server.url, caCertificate: pki.caCertificate, user: pki.admin });
  // A new file, for one that is there keeps its mode, and this one holds a key.
  const made = `${options.kubeconfig}.${process.pid}`;
  try {
    await mkdir(dirname(options.kubeconfig), { recursive: true });
    await writeFile(made, text, { mode: 0o600 });
    await rename(made, options.kubeconfig);
  } catch (error) {
    await rm(made, { force: true }).catch(() => {});
    throw new CliError(`--kubeconfig ${options.kubeconfig} cannot be written: ${(error as Error).message}`);
  }
}

function nodesReady(informers: Informers, names: readonly string[], signal: AbortSignal): Promise<void> {
  const nodes = informers.get(Nodes);
  const isReady = (node: Node | undefined): boolean =>
    node?.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') ?? false;
  let waiting = 0;
  const ready = () => {
    while (waiting < names.length && isReady(nodes.get({ name: names[waiting]! }))) waiting++;
    return waiting === names.length;
  };
  return watchUntil([nodes], () => signal.aborted || ready(), signal);
}
