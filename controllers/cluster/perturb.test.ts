import {
  type CertificateSigningRequest,
  CertificateSigningRequests,
  ConfigMaps,
  Leases,
  Namespaces,
  type Node,
  Nodes,
  type Pod,
  Pods,
  Secrets,
  ServiceAccounts,
} from '@trimtab/machinery';
import { replay, type Scenario, type World } from '@trimtab/testing';
import { survives } from '../test-plans.js';
import { bootstrapSigner, tokenCleaner } from './bootstrap-token/controllers.js';
import { certificateController } from './certificates/controller.js';
import type { Identities } from './identities.js';
import { namespaceController } from './namespace/controller.js';
import { nodeLifecycleController } from './node-lifecycle/controller.js';
import { rootCaPublisher } from './root-ca/controller.js';
import { serviceAccountController } from './serviceaccount/controller.js';
import { tokenSecretController } from './serviceaccount/token-controller.js';

/** Every controller of the cluster's own affairs under every single fault, and some pairs; and at rest for a day. */
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

const ending: Scenario = {
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
};

test('Namespace', () => survives(ending));

test('a repeated event does not overtake those held up before it', async () => {
  for (const plan of ['duplicate@event9+lag@event8', 'reorder@event8+duplicate@event9'])
    (await replay(ending, `perturb replay: seed=1 plan=${plan}`)).expectNoDivergence();
});

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

const base64 = (text: string) => Buffer.from(text).toString('base64');
const identities: Identities = {
  judge: () => ({ known: true }),
  sign: () => '-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n',
  secretToken: async ({ account, secret, uid }) => `${account}/${secret}/${uid}`,
};

test('certificate requests', () =>
  survives({
    world: { controllers: [certificateController(identities)] },
    async workload(w) {
      const csr = (name: string) =>
        ({
          metadata: { name },
          spec: { request: base64('r'), signerName: 'kubernetes.io/kube-apiserver-client', usages: ['client auth'] },
        }) as CertificateSigningRequest;
      await w.create(CertificateSigningRequests, csr('approved'), csr('waiting'));
      await w.settle();
      const read = await w.get(CertificateSigningRequests, { name: 'approved' });
      const conditions = [{ type: 'Approved', status: 'True', reason: 'R', message: 'M' }];
      await w.client.update(
        CertificateSigningRequests,
        { ...read, status: { conditions } },
        { subresource: 'approval' },
      );
      await w.settle();
      // What has been signed goes after an hour.
      await w.pass('2h');
      await w.remove(CertificateSigningRequests, { name: 'waiting' });
    },
  }));

test('tokens of service accounts', () =>
  survives({
    world: { controllers: [tokenSecretController(identities, 'CA')] },
    async workload(w) {
      await w.create(ServiceAccounts, { metadata: { namespace: 'team', name: 'web' } });
      for (const [name, account] of [
        ['good', 'web'],
        ['stray', 'nobody'],
      ] as const)
        await w.create(Secrets, {
          metadata: { namespace: 'team', name, annotations: { 'kubernetes.io/service-account.name': account } },
          type: 'kubernetes.io/service-account-token',
        });
      await w.settle();
      await w.patch(Secrets, { namespace: 'team', name: 'good' }, { data: { token: null } });
      await w.settle();
      await w.remove(ServiceAccounts, { namespace: 'team', name: 'web' });
      await w.settle();
    },
  }));

test('bootstrap tokens', () =>
  survives({
    // Time the controller did not see pass ends a token sooner.
    without: ['jump'],
    world: { controllers: [tokenCleaner, bootstrapSigner] },
    async workload(w) {
      await w.create(ConfigMaps, {
        metadata: { namespace: 'kube-public', name: 'cluster-info' },
        data: { kubeconfig: 'hello' },
      });
      const token = (id: string, minutes: number) =>
        w.create(Secrets, {
          metadata: { namespace: 'kube-system', name: `bootstrap-token-${id}` },
          type: 'bootstrap.kubernetes.io/token',
          data: {
            'token-id': base64(id),
            'token-secret': base64('0123456789abcdef'),
            'usage-bootstrap-signing': base64('true'),
            expiration: base64(new Date(w.clock.now() + minutes * 60_000).toISOString()),
          },
        });
      await token('abcdef', 5);
      await token('ghijkl', 60);
      await w.settle();
      await w.patch(ConfigMaps, { namespace: 'kube-public', name: 'cluster-info' }, { data: { kubeconfig: 'bye' } });
      await w.pass('2h');
    },
  }));
