import type { KubeObject } from '../object.js';
import * as access from './access.js';
import { autoscalerPrinter } from './autoscaling.js';
import * as cluster from './cluster.js';
import { ageColumn, column, nameColumn, type Printer } from './column.js';
import * as network from './network.js';
import { podPrinter } from './pod.js';
import * as storage from './storage.js';
import * as workloads from './workloads.js';

/** A printer is only ever given objects of the resource it is registered for. */
const erased = (printers: Readonly<Record<string, Printer<never>>>): ReadonlyMap<string, Printer<KubeObject>> =>
  new Map(Object.entries(printers) as unknown as [string, Printer<KubeObject>][]);

const aged: Printer<KubeObject> = { columns: [nameColumn, ageColumn] };

/** How built-in resources are printed, by group and resource (kubernetes: pkg/printers/internalversion). */
const printers = erased({
  '/pods': podPrinter,
  '/podtemplates': workloads.podTemplatePrinter,
  '/replicationcontrollers': workloads.replicationControllerPrinter,
  '/services': network.servicePrinter,
  '/endpoints': network.endpointsPrinter,
  '/nodes': cluster.nodePrinter,
  '/namespaces': cluster.namespacePrinter,
  '/events': cluster.eventPrinter,
  '/configmaps': cluster.configMapPrinter,
  '/secrets': cluster.secretPrinter,
  '/serviceaccounts': cluster.serviceAccountPrinter,
  '/resourcequotas': cluster.resourceQuotaPrinter,
  '/persistentvolumes': storage.persistentVolumePrinter,
  '/persistentvolumeclaims': storage.persistentVolumeClaimPrinter,
  '/componentstatuses': cluster.componentStatusPrinter,
  'events.k8s.io/events': cluster.eventPrinter,
  'apps/deployments': workloads.deploymentPrinter,
  'apps/replicasets': workloads.replicaSetPrinter,
  'apps/daemonsets': workloads.daemonSetPrinter,
  'apps/statefulsets': workloads.statefulSetPrinter,
  'apps/controllerrevisions': workloads.controllerRevisionPrinter,
  'batch/jobs': workloads.jobPrinter,
  'batch/cronjobs': workloads.cronJobPrinter,
  'policy/poddisruptionbudgets': workloads.podDisruptionBudgetPrinter,
  'autoscaling/horizontalpodautoscalers': autoscalerPrinter,
  'autoscaling/scale': workloads.scalePrinter,
  'networking.k8s.io/ingresses': network.ingressPrinter,
  'networking.k8s.io/ingressclasses': network.ingressClassPrinter,
  'networking.k8s.io/networkpolicies': network.networkPolicyPrinter,
  'networking.k8s.io/servicecidrs': network.serviceCIDRPrinter,
  'networking.k8s.io/ipaddresses': network.ipAddressPrinter,
  'discovery.k8s.io/endpointslices': network.endpointSlicePrinter,
  'storage.k8s.io/storageclasses': storage.storageClassPrinter,
  'storage.k8s.io/volumeattributesclasses': storage.volumeAttributesClassPrinter,
  'storage.k8s.io/volumeattachments': storage.volumeAttachmentPrinter,
  'storage.k8s.io/csinodes': storage.csiNodePrinter,
  'storage.k8s.io/csidrivers': storage.csiDriverPrinter,
  'storage.k8s.io/csistoragecapacities': storage.csiStorageCapacityPrinter,
  'rbac.authorization.k8s.io/rolebindings': access.roleBindingPrinter,
  'rbac.authorization.k8s.io/clusterrolebindings': access.roleBindingPrinter,
  'certificates.k8s.io/certificatesigningrequests': access.certificateSigningRequestPrinter,
  'certificates.k8s.io/clustertrustbundles': access.clusterTrustBundlePrinter,
  'coordination.k8s.io/leases': cluster.leasePrinter,
  'coordination.k8s.io/leasecandidates': cluster.leaseCandidatePrinter,
  'scheduling.k8s.io/priorityclasses': cluster.priorityClassPrinter,
  'node.k8s.io/runtimeclasses': cluster.runtimeClassPrinter,
  'admissionregistration.k8s.io/mutatingwebhookconfigurations': access.webhookPrinter,
  'admissionregistration.k8s.io/validatingwebhookconfigurations': access.webhookPrinter,
  'admissionregistration.k8s.io/validatingadmissionpolicies': access.validatingAdmissionPolicyPrinter,
  'admissionregistration.k8s.io/validatingadmissionpolicybindings': access.policyBindingPrinter,
  'admissionregistration.k8s.io/mutatingadmissionpolicies': access.mutatingAdmissionPolicyPrinter,
  'admissionregistration.k8s.io/mutatingadmissionpolicybindings': access.policyBindingPrinter,
  'flowcontrol.apiserver.k8s.io/flowschemas': access.flowSchemaPrinter,
  'flowcontrol.apiserver.k8s.io/prioritylevelconfigurations': access.priorityLevelPrinter,
  'internal.apiserver.k8s.io/storageversions': access.storageVersionPrinter,
  'storagemigration.k8s.io/storageversionmigrations': access.storageVersionMigrationPrinter,
  'apiregistration.k8s.io/apiservices': cluster.apiServicePrinter,
  'resource.k8s.io/deviceclasses': aged,
  'resource.k8s.io/resourceclaims': access.resourceClaimPrinter,
  'resource.k8s.io/resourceclaimtemplates': aged,
  'resource.k8s.io/resourceslices': access.resourceSlicePrinter,
});

/** Resources that Kubernetes has no printer for show their name and the instant they were made. */
const plain: Printer<KubeObject> = {
  columns: [
    nameColumn,
    column('Created At', 'When the object was created.', (object) => object.metadata.creationTimestamp ?? null, {
      type: 'date',
    }),
  ],
};

/** The printer of a built-in resource. Tables of the scale subresource are under `autoscaling`, `scale`. */
export function printerOf(group: string, resource: string): Printer<KubeObject> {
  return printers.get(`${group}/${resource}`) ?? plain;
}
