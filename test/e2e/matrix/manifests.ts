import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '../cluster.js';

const labels = { app: 'kept' };
const template = {
  metadata: { labels: { app: 'set' } },
  spec: { containers: [{ name: 'main', image: 'example.com/app:1', ports: [{ containerPort: 80, name: 'http' }] }] },
};

/** Writes what the commands of one kubectl are given, into `directory`. */
export async function writeManifests(directory: string, namespace: string): Promise<void> {
  const group = `${namespace}.example.com`;
  const files: Record<string, unknown> = {
    'app.yaml': list(
      meta('v1', 'Service', 'set', {
        spec: { clusterIP: 'None', selector: { app: 'set' }, ports: [{ port: 80, targetPort: 'http' }] },
      }),
      meta('apps/v1', 'StatefulSet', 'set', {
        spec: { serviceName: 'set', replicas: 2, selector: { matchLabels: { app: 'set' } }, template },
      }),
      meta('apps/v1', 'DaemonSet', 'everywhere', {
        spec: { selector: { matchLabels: { app: 'set', every: 'node' } }, template: daemonTemplate },
      }),
      meta('networking.k8s.io/v1', 'NetworkPolicy', 'closed', {
        spec: { podSelector: { matchLabels: { app: 'set' } }, policyTypes: ['Ingress'] },
      }),
      meta('v1', 'LimitRange', 'limits', {
        spec: { limits: [{ type: 'Container', defaultRequest: { cpu: '10m' }, max: { cpu: '4' } }] },
      }),
      meta('v1', 'PersistentVolumeClaim', 'claim', {
        spec: {
          accessModes: ['ReadWriteOnce'],
          storageClassName: `slow-${namespace}`,
          resources: { requests: { storage: '1Gi' } },
        },
      }),
    ),
    'cluster.yaml': list(
      meta('v1', 'PersistentVolume', `volume-${namespace}`, {
        spec: {
          accessModes: ['ReadWriteOnce'],
          capacity: { storage: '2Gi' },
          storageClassName: `slow-${namespace}`,
          hostPath: { path: '/tmp/nowhere' },
        },
      }),
      meta('storage.k8s.io/v1', 'StorageClass', `slow-${namespace}`, { provisioner: 'kubernetes.io/no-provisioner' }),
    ),
    'crd.yaml': meta('apiextensions.k8s.io/v1', 'CustomResourceDefinition', `gadgets.${group}`, {
      spec: {
        group,
        scope: 'Namespaced',
        names: { plural: 'gadgets', singular: 'gadget', kind: 'Gadget', shortNames: [`gd${namespace}`] },
        versions: [gadgetVersion],
      },
    }),
    'gadget.yaml': meta(`${group}/v1`, 'Gadget', 'first', { spec: { size: 3 } }),
    'gadget-wrong.yaml': meta(`${group}/v1`, 'Gadget', 'wrong', { spec: { size: 'many' } }),
    'one.yaml': map('one', labels, { a: '1' }),
    'one-changed.yaml': map('one', labels, { a: '2' }),
    'two.yaml': map('two', labels, { b: '1' }),
    'three.yaml': map('three', labels, { c: '1' }),
    'four.yaml': map('four', labels, { d: '1' }),
    'typo.yaml': { ...map('typo', {}, {}), dta: { a: '1' } },
    'invalid.yaml': meta('v1', 'Pod', 'invalid', { spec: { containers: [{ name: 'Main', image: '' }] } }),
    'pod.yaml': meta('v1', 'Pod', 'lone', { spec: template.spec }),
    'rbac.yaml': list(
      inside('rbac.authorization.k8s.io/v1', 'Role', 'reconciled', namespace, {
        rules: [{ apiGroups: [''], resources: ['pods'], verbs: ['get', 'list'] }],
      }),
      inside('rbac.authorization.k8s.io/v1', 'RoleBinding', 'reconciled', namespace, {
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'reconciled' },
        subjects: [{ kind: 'ServiceAccount', name: 'robot', namespace }],
      }),
    ),
    'kustomize/kustomization.yaml': {
      apiVersion: 'kustomize.config.k8s.io/v1beta1',
      kind: 'Kustomization',
      namePrefix: 'k-',
      resources: ['base.yaml'],
      configMapGenerator: [{ name: 'generated', literals: ['colour=red'] }],
    },
    'kustomize/base.yaml': map('base', {}, { from: 'base' }),
    'lines.txt': 'first line\nsecond line\n',
    'variables.env': 'COLOUR=blue\n',
  };
  await mkdir(join(directory, 'kustomize'), { recursive: true });
  for (const [name, content] of Object.entries(files))
    await writeFile(join(directory, name), typeof content === 'string' ? content : JSON.stringify(content));
  await writeKeys(directory, namespace);
}

/** A key, a self-signed certificate and requests for two more, as one makes them by hand. */
async function writeKeys(directory: string, namespace: string): Promise<void> {
  const openssl = async (...args: readonly string[]) => {
    const { code, stderr } = await run('openssl', args);
    if (code !== 0) throw new Error(`openssl ${args.join(' ')}: ${stderr}`);
  };
  const key = join(directory, 'tls.key');
  await openssl('ecparam', '-name', 'prime256v1', '-genkey', '-noout', '-out', key);
  await openssl('req', '-x509', '-key', key, '-subj', '/CN=a.example', '-out', join(directory, 'tls.crt'));
  for (const name of ['jane', 'joe']) {
    const file = join(directory, `${name}.csr`);
    await openssl('req', '-new', '-key', key, '-subj', `/CN=${name}/O=people`, '-out', file);
    const { stdout } = await run('base64', ['-w0', file]);
    const request = meta('certificates.k8s.io/v1', 'CertificateSigningRequest', `${name}-${namespace}`, {
      spec: { request: stdout, signerName: 'kubernetes.io/kube-apiserver-client', usages: ['client auth'] },
    });
    await writeFile(join(directory, `${name}.yaml`), JSON.stringify(request));
  }
}

const meta = (apiVersion: string, kind: string, name: string, rest: object): object => ({
  apiVersion,
  kind,
  metadata: { name },
  ...rest,
});
const inside = (apiVersion: string, kind: string, name: string, namespace: string, rest: object): object => ({
  apiVersion,
  kind,
  metadata: { name, namespace },
  ...rest,
});
const map = (name: string, labelled: object, data: object): object => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, labels: labelled },
  data,
});
const list = (...items: readonly object[]): object => ({ apiVersion: 'v1', kind: 'List', items });

const daemonTemplate = {
  metadata: { labels: { app: 'set', every: 'node' } },
  spec: { ...template.spec, nodeSelector: { nothing: 'matches' } },
};

const gadgetVersion = {
  name: 'v1',
  served: true,
  storage: true,
  subresources: {
    status: {},
    scale: { specReplicasPath: '.spec.size', statusReplicasPath: '.status.size' },
  },
  additionalPrinterColumns: [{ name: 'Size', type: 'integer', jsonPath: '.spec.size' }],
  schema: {
    openAPIV3Schema: {
      type: 'object',
      description: 'A gadget is a thing of some size.',
      properties: {
        spec: {
          type: 'object',
          properties: {
            size: { type: 'integer', minimum: 1, description: 'How big it is.' },
            colour: { type: 'string', default: 'grey' },
          },
        },
        status: { type: 'object', properties: { size: { type: 'integer' } } },
      },
    },
  },
};
