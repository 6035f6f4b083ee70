import { type ApiCluster, apiCluster } from '../api-cluster.js';
import { type Lifecycle, wholeLife } from './lifecycle.js';

/** Conformance tests that go through every verb of a kind, under their own names. They need an API server and nothing else. */

let api: ApiCluster;
beforeAll(async () => {
  api = await apiCluster();
});
afterAll(() => api.close());

const pod = { restartPolicy: 'Never', containers: [{ name: 'c', image: 'i' }] };
const condition = { type: 'StatusUpdate', status: 'True', reason: 'E2E', message: 'Set from e2e test' };
let addresses = 0;

const kinds: Readonly<Record<string, Lifecycle>> = {
  '[sig-api-machinery] API priority and fairness should support FlowSchema API operations [Conformance]': {
    group: 'flowcontrol.apiserver.k8s.io',
    version: 'v1',
    resource: 'flowschemas',
    body: () => ({
      spec: {
        matchingPrecedence: 10_000,
        priorityLevelConfiguration: { name: 'global-default' },
        distinguisherMethod: { type: 'ByUser' },
        rules: [
          {
            subjects: [{ kind: 'User', user: { name: 'example-e2e-non-existent-user' } }],
            nonResourceRules: [{ verbs: ['*'], nonResourceURLs: ['*'] }],
          },
        ],
      },
    }),
    status: { conditions: [{ type: 'TestA', status: 'False', reason: 'Reason', message: 'Message' }] },
  },
  '[sig-api-machinery] API priority and fairness should support PriorityLevelConfiguration API operations [Conformance]':
    {
      group: 'flowcontrol.apiserver.k8s.io',
      version: 'v1',
      resource: 'prioritylevelconfigurations',
      body: () => ({
        spec: { type: 'Limited', limited: { nominalConcurrencyShares: 2, limitResponse: { type: 'Reject' } } },
      }),
      status: { conditions: [{ type: 'TestA', status: 'False', reason: 'Reason', message: 'Message' }] },
    },
  '[sig-apps] CronJob should support CronJob API operations [Conformance]': {
    group: 'batch',
    version: 'v1',
    resource: 'cronjobs',
    body: () => ({ spec: { schedule: '* */1 * * ?', jobTemplate: { spec: { template: { spec: pod } } } } }),
    status: { lastScheduleTime: '2026-01-01T00:00:00Z' },
  },
  '[sig-network] Ingress API should support creating Ingress API operations [Conformance]': {
    group: 'networking.k8s.io',
    version: 'v1',
    resource: 'ingresses',
    body: () => ({ spec: { defaultBackend: { service: { name: 'defaultbackend', port: { number: 80 } } } } }),
    status: { loadBalancer: { ingress: [{ ip: '169.1.1.1' }] } },
  },
  '[sig-network] IngressClass API should support creating IngressClass API operations [Conformance]': {
    group: 'networking.k8s.io',
    version: 'v1',
    resource: 'ingressclasses',
    body: () => ({ spec: { controller: 'example.com/controller' } }),
  },
  '[sig-network] ServiceCIDR and IPAddress API should support IPAddress API operations [Conformance]': {
    group: 'networking.k8s.io',
    version: 'v1',
    resource: 'ipaddresses',
    name: () => `192.168.7.${++addresses}`,
    body: () => ({ spec: { parentRef: { resource: 'services', name: 'x', namespace: 'y' } } }),
  },
  '[sig-network] ServiceCIDR and IPAddress API should support ServiceCIDR API operations [Conformance]': {
    group: 'networking.k8s.io',
    version: 'v1',
    resource: 'servicecidrs',
    body: () => ({ spec: { cidrs: ['10.1.1.0/24'] } }),
    status: { conditions: [{ ...condition, lastTransitionTime: '2026-01-01T00:00:00Z' }] },
  },
  '[sig-node] Lease lease API should be available [Conformance]': {
    group: 'coordination.k8s.io',
    version: 'v1',
    resource: 'leases',
    body: () => ({ spec: { holderIdentity: 'holder', leaseDurationSeconds: 30, leaseTransitions: 0 } }),
  },
  '[sig-node] PodTemplates should run the lifecycle of PodTemplates [Conformance]': {
    group: '',
    version: 'v1',
    resource: 'podtemplates',
    body: () => ({ template: { spec: pod } }),
  },
  '[sig-node] RuntimeClass should support RuntimeClasses API operations [Conformance]': {
    group: 'node.k8s.io',
    version: 'v1',
    resource: 'runtimeclasses',
    body: () => ({ handler: 'e2e-handler' }),
  },
  '[sig-node] ConfigMap should run through a ConfigMap lifecycle [Conformance]': {
    group: '',
    version: 'v1',
    resource: 'configmaps',
    body: () => ({ data: { valueName: 'value' } }),
  },
  '[sig-node] Secrets should patch a secret [Conformance]': {
    group: '',
    version: 'v1',
    resource: 'secrets',
    body: () => ({ data: { key: 'dmFsdWU=' }, type: 'Opaque' }),
  },
  '[sig-scheduling] LimitRange should list, patch and delete a LimitRange by collection [Conformance]': {
    group: '',
    version: 'v1',
    resource: 'limitranges',
    body: () => ({ spec: { limits: [{ type: 'Container', max: { cpu: '500m' } }] } }),
  },
  '[sig-scheduling] SchedulerPreemption [Serial] PriorityClass endpoints verify PriorityClass endpoints can be operated with different HTTP methods [Conformance]':
    {
      group: 'scheduling.k8s.io',
      version: 'v1',
      resource: 'priorityclasses',
      body: () => ({ value: 3 }),
    },
  '[sig-storage] StorageClasses CSI Conformance should run through the lifecycle of a StorageClass [Conformance]': {
    group: 'storage.k8s.io',
    version: 'v1',
    resource: 'storageclasses',
    body: () => ({ provisioner: 'e2e-fake-provisioner' }),
  },
  '[sig-storage] VolumeAttachment Conformance should run through the lifecycle of a VolumeAttachment [Conformance]': {
    group: 'storage.k8s.io',
    version: 'v1',
    resource: 'volumeattachments',
    body: () => ({ spec: { attacher: 'e2e.example.com', nodeName: 'node', source: { persistentVolumeName: 'pv' } } }),
    status: { attached: true },
  },
  '[sig-storage] VolumeAttachment Conformance should apply changes to a volumeattachment status [Conformance]': {
    group: 'storage.k8s.io',
    version: 'v1',
    resource: 'volumeattachments',
    body: () => ({ spec: { attacher: 'e2e.example.com', nodeName: 'node', source: { persistentVolumeName: 'pv' } } }),
    status: { attached: true, attachmentMetadata: { device: 'sdb' } },
  },
  '[sig-storage] CSIInlineVolumes should support CSIVolumeSource in Pod API [Conformance]': {
    group: '',
    version: 'v1',
    resource: 'pods',
    body: () => ({
      spec: {
        ...pod,
        terminationGracePeriodSeconds: 0,
        volumes: [
          { name: 'inline', csi: { driver: 'e2e.example.com', readOnly: false, volumeAttributes: { a: 'b' } } },
        ],
      },
    }),
  },
  '[sig-storage] CSIInlineVolumes should support ephemeral VolumeLifecycleMode in CSIDriver API [Conformance]': {
    group: 'storage.k8s.io',
    version: 'v1',
    resource: 'csidrivers',
    body: () => ({ spec: { volumeLifecycleModes: ['Persistent', 'Ephemeral'] } }),
  },
  '[sig-storage] CSIStorageCapacity should support CSIStorageCapacities API operations [Conformance]': {
    group: 'storage.k8s.io',
    version: 'v1',
    resource: 'csistoragecapacities',
    body: () => ({ storageClassName: 'example', capacity: '1Gi' }),
  },
  '[sig-storage] CSINodes CSI Conformance should run through the lifecycle of a csinode [Conformance]': {
    group: 'storage.k8s.io',
    version: 'v1',
    resource: 'csinodes',
    body: () => ({ spec: { drivers: [{ name: 'e2e.example.com', nodeID: 'n', topologyKeys: ['example.com/zone'] }] } }),
  },
  '[sig-storage] CSIInlineVolumes should run through the lifecycle of a CSIDriver [Conformance]': {
    group: 'storage.k8s.io',
    version: 'v1',
    resource: 'csidrivers',
    body: () => ({ spec: { volumeLifecycleModes: ['Ephemeral'], attachRequired: false } }),
  },
  '[sig-storage] VolumeAttributesClass [FeatureGate:VolumeAttributesClass] should run through the lifecycle of a VolumeAttributesClass [Conformance]':
    {
      group: 'storage.k8s.io',
      version: 'v1',
      resource: 'volumeattributesclasses',
      body: () => ({ driverName: 'e2e.example.com', parameters: { a: 'b' } }),
    },
  '[sig-storage] PersistentVolumes CSI Conformance should apply changes to a pv/pvc status [Conformance]': {
    group: '',
    version: 'v1',
    resource: 'persistentvolumes',
    body: () => ({
      spec: { capacity: { storage: '1Gi' }, accessModes: ['ReadWriteOnce'], hostPath: { path: '/tmp/e2e' } },
    }),
    status: { phase: 'Available', message: 'StatusPatched', reason: 'E2E patchStatus' },
  },
  '[sig-storage] PersistentVolumes CSI Conformance should run through the lifecycle of a PV and a PVC [Conformance]': {
    group: '',
    version: 'v1',
    resource: 'persistentvolumeclaims',
    body: () => ({ spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } } }),
    status: { conditions: [{ ...condition, lastTransitionTime: '2026-01-01T00:00:00Z' }] },
  },
  '[sig-network] Services should delete a collection of services [Conformance]': {
    group: '',
    version: 'v1',
    resource: 'services',
    body: () => ({ spec: { ports: [{ name: 'http', port: 80, targetPort: 8080 }], selector: { a: 'b' } } }),
    status: { loadBalancer: { ingress: [{ ip: '203.0.113.1' }] } },
  },
  '[sig-auth] ServiceAccounts should run through the lifecycle of a ServiceAccount [Conformance]': {
    group: '',
    version: 'v1',
    resource: 'serviceaccounts',
    body: () => ({ automountServiceAccountToken: false }),
  },
  '[sig-node] [DRA] CRUD Tests resource.k8s.io/v1 ResourceClaim [Conformance]': {
    group: 'resource.k8s.io',
    version: 'v1',
    resource: 'resourceclaims',
    body: () => ({
      spec: { devices: { requests: [{ name: 'r', exactly: { deviceClassName: 'gpu.example.com' } }] } },
    }),
  },
  '[sig-node] [DRA] CRUD Tests resource.k8s.io/v1 ResourceClaimTemplate [Conformance]': {
    group: 'resource.k8s.io',
    version: 'v1',
    resource: 'resourceclaimtemplates',
    body: () => ({
      spec: { spec: { devices: { requests: [{ name: 'r', exactly: { deviceClassName: 'gpu.example.com' } }] } } },
    }),
  },
  '[sig-node] [DRA] CRUD Tests resource.k8s.io/v1 DeviceClass [Conformance]': {
    group: 'resource.k8s.io',
    version: 'v1',
    resource: 'deviceclasses',
    body: () => ({ spec: { selectors: [{ cel: { expression: 'device.driver == "gpu.example.com"' } }] } }),
  },
  '[sig-node] [DRA] CRUD Tests resource.k8s.io/v1 ResourceSlice [Conformance]': {
    group: 'resource.k8s.io',
    version: 'v1',
    resource: 'resourceslices',
    body: () => ({
      spec: {
        nodeName: 'n',
        driver: 'gpu.example.com',
        pool: { name: 'n', generation: 0, resourceSliceCount: 1 },
        devices: [{ name: 'gpu-0' }],
      },
    }),
  },
  '[sig-apps] ControllerRevision should manage the lifecycle of a ControllerRevision [Conformance]': {
    group: 'apps',
    version: 'v1',
    resource: 'controllerrevisions',
    body: () => ({ data: { spec: {} }, revision: 1 }),
  },
};

test.each(Object.entries(kinds))('%s', (_, kind) => wholeLife(api, kind));
