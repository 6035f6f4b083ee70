import { startControllers } from '@trimtab/controllers';
import { customKindSource, DefinitionController, definitionStrategy } from '@trimtab/crd';
import { type Node, Nodes, type Pod } from '@trimtab/machinery';
import {
  type BranchAccess,
  type Branching,
  builtinKinds,
  type ClusterSecurity,
  componentUsers,
  type Inhabitants,
  type KindSource,
  type Pki,
  type Realm,
} from '@trimtab/server';
import type { Store } from '@trimtab/store';
import { allOf } from '../up/all-of.js';
import type { Ambient } from '../up/control-plane.js';
import { identitiesOf } from '../up/identities.js';

export interface BranchingParts extends Ambient {
  /** Everything that makes an API secure and knows its kinds, over another store. */
  readonly secure: (store: Store) => ClusterSecurity;
  readonly pki: () => Pki;
}

/** The kinds of a cluster over a store: what is built in, and what is defined there. */
export function kindsOver(
  store: Store,
  security: ClusterSecurity,
): readonly [KindSource, ReturnType<typeof customKindSource>] {
  const strategies = {
    ...security.strategies,
    'apiextensions.k8s.io/customresourcedefinitions': definitionStrategy,
  };
  return [builtinKinds({ strategies }), customKindSource(store, security.webhooks)];
}

/** How branches of a cluster are made and what lives on them: the cluster's own controllers, and simulated nodes. */
export function branchingOf(parts: BranchingParts): Branching {
  const realm = (store: Store): Realm => {
    const security = parts.secure(store);
    const kinds = kindsOver(store, security);
    return {
      ...security,
      kinds,
      close() {
        kinds[1].close();
        security.close();
      },
      inhabit: (branch) => inhabit(parts, security, branch),
    };
  };
  return { rules: realm, realm };
}

/** Starts what makes a cluster of a branch. Every node there is becomes a simulated one; pods that ran stay as they were. */
async function inhabit(parts: BranchingParts, security: ClusterSecurity, branch: BranchAccess): Promise<Inhabitants> {
  const { clock, random, logger } = parts;
  const ambient = { clock, random, logger };
  const pki = parts.pki();
  const root = branch.client(componentUsers.apiServer);
  security.keepWritten(root, logger);
  const controllers = await startControllers({
    ...ambient,
    client: branch.client(componentUsers.controllerManager),
    caCertificate: pki.caCertificate,
    identities: identitiesOf({ pki, security }),
  });
  const definitions = new DefinitionController({ ...ambient, client: root, informers: controllers.informers });
  definitions.start();
  const stop = (nodes?: Inhabitants): Promise<void> =>
    allOf(
      () => nodes?.stop(),
      () => definitions.stop(),
      () => controllers.stop(),
    );
  try {
    const nodes = await simulate(ambient, root, branch);
    return { nodeStreams: nodes.nodeStreams, stop: () => stop(nodes) };
  } catch (error) {
    await stop().catch(() => {});
    throw error;
  }
}

async function simulate(
  ambient: Ambient,
  client: ReturnType<BranchAccess['client']>,
  { since }: BranchAccess,
): Promise<Inhabitants> {
  const { items } = await client.list<Node>(Nodes);
  if (items.length === 0) return { nodeStreams: () => undefined, stop: async () => {} };
  const { startSimulatedNodes } = await import('@trimtab/kubelet-lite');
  const nodes = await startSimulatedNodes({
    ...ambient,
    client,
    count: 0,
    nodeNames: items.map(({ metadata }) => metadata.name!),
    settled: (pod) => isSettled(pod, since),
  });
  return { nodeStreams: (name) => nodes.streams(name), stop: () => nodes.stop() };
}

/** A pod that ran when the branch was made runs on there, in so far as anything does: its status says so. */
const isSettled = ({ metadata, status }: Pick<Pod, 'metadata' | 'status'>, since: number): boolean =>
  Number(metadata.resourceVersion) <= since && status?.phase !== undefined && status.phase !== 'Pending';
