import { ConfigMaps, Leases, Namespaces, type Node, Nodes, type Pod, Pods, ServiceAccounts } from '@trimtab/machinery';
import { expectStable, perturb, type Scenario, type World, world } from '@trimtab/testing';
import { PLANS } from '../test-plans.js';
import { namespaceController } from './namespace/controller.js';
import { nodeLifecycleController } from './node-lifecycle/controller.js';
import { rootCaPublisher } from './root-ca/controller.js';
import { serviceAccountController } from './serviceaccount/controller.js';

/** Every controller of the cluster's own affairs under every single fault, and some pairs; and at rest for a day. */
const survives = async (scenario: Scenario): Promise<void> => {
  (await perturb(scenario, PLANS)).expectNoDivergence();
  const { controllers } = scenario.world as Exclude<Scenario['world'], () => unknown>;
  const w = await world({ ...scenario.world, controllers });
  await scenario.workload(w);
  await expectStable(w);
  await w.close();
};
const pod = (name: string, more: object = {}): Pod => ({
  metadata: { namespace: 'team', name },
  spec: { nodeName: 'n', containers: [{ name: 'c', image: 'i' }], ...more },
});

test('ServiceAccount and root CA', () =>
  survives({
    world: { controllers: [serviceAccountController, rootCaPublisher('PEM')] },
    async workload(w) {
      await w.create(Namespaces, { metadata: { name: 'team' } });
      await w.settle();
      await w.remove(ServiceAccounts, { namespace: 'team', name: 'default' });
      await w.patch(ConfigMaps, { namespace: 'team', name: 'kube-root-ca.crt' }, { data: { 'ca.crt': 'forged' } });
      await w.settle();
    },
  }));

test('Namespace', () =>
  survives({
    world: { controllers: [(parts) => namespaceController(parts)] },
    async workload(w) {
      await w.create(Namespaces, { metadata: { name: 'team' } }, { metadata: { name: 'other' } });
      await w.create(Pods, pod('p'));
      await w.create(ConfigMaps, { metadata: { namespace: 'team', name: 'a' } });
      await w.create(ConfigMaps, { metadata: { namespace: 'other', name: 'b' } });
      await w.settle();
      await w.remove(Namespaces, { name: 'team' });
      await w.pass('5s');
      // The kubelet's part.
      await w.remove(Pods, { namespace: 'team', name: 'p' }, { gracePeriodSeconds: 0 });
      await w.settle();
    },
  }));

const beat = (w: World) =>
  w.patch(
    Leases,
    { namespace: 'kube-node-lease', name: 'n' },
    { spec: { renewTime: new Date(w.clock.now()).toISOString().replace('Z', '000Z') } },
  );
const node: Node = {
  metadata: { name: 'n' },
  status: { conditions: [{ type: 'Ready', status: 'True', reason: 'KubeletReady' }] },
};

test('node lifecycle', () =>
  survives({
    // Time the controller did not see pass counts from its start: a jump is not a silence.
    without: ['jump'],
    world: { controllers: [(parts) => nodeLifecycleController({ startedAt: parts.clock.now() })] },
    async workload(w) {
      await w.create(Nodes, node);
      await w.create(Leases, { metadata: { namespace: 'kube-node-lease', name: 'n' }, spec: {} });
      await beat(w);
      const patient = {
        tolerations: [
          { key: 'node.kubernetes.io/unreachable', operator: 'Exists', effect: 'NoExecute', tolerationSeconds: 60 },
        ],
      };
      await w.create(Pods, pod('hasty'), pod('patient', patient));
      await w.pass('5m');
    },
  }));
