/**
 * What clients call resources, where the name does not follow from the kind (kubernetes: `ShortNames` and `Categories` of
 * the registry). Keyed by `plural.group`, or `plural` in the core group; the same in all versions.
 */
export const shortNames: Readonly<Record<string, readonly string[]>> = {
  componentstatuses: ['cs'],
  configmaps: ['cm'],
  endpoints: ['ep'],
  events: ['ev'],
  limitranges: ['limits'],
  namespaces: ['ns'],
  nodes: ['no'],
  persistentvolumeclaims: ['pvc'],
  persistentvolumes: ['pv'],
  pods: ['po'],
  replicationcontrollers: ['rc'],
  resourcequotas: ['quota'],
  serviceaccounts: ['sa'],
  services: ['svc'],
  'customresourcedefinitions.apiextensions.k8s.io': ['crd', 'crds'],
  'daemonsets.apps': ['ds'],
  'deployments.apps': ['deploy'],
  'replicasets.apps': ['rs'],
  'statefulsets.apps': ['sts'],
  'horizontalpodautoscalers.autoscaling': ['hpa'],
  'cronjobs.batch': ['cj'],
  'certificatesigningrequests.certificates.k8s.io': ['csr'],
  'events.events.k8s.io': ['ev'],
  'ingresses.networking.k8s.io': ['ing'],
  'ipaddresses.networking.k8s.io': ['ip'],
  'networkpolicies.networking.k8s.io': ['netpol'],
  'poddisruptionbudgets.policy': ['pdb'],
  'priorityclasses.scheduling.k8s.io': ['pc'],
  'storageclasses.storage.k8s.io': ['sc'],
  'volumeattributesclasses.storage.k8s.io': ['vac'],
};

const all = ['all'];
const extensions = ['api-extensions'];

export const categories: Readonly<Record<string, readonly string[]>> = {
  pods: all,
  replicationcontrollers: all,
  services: all,
  'daemonsets.apps': all,
  'deployments.apps': all,
  'replicasets.apps': all,
  'statefulsets.apps': all,
  'horizontalpodautoscalers.autoscaling': all,
  'cronjobs.batch': all,
  'jobs.batch': all,
  'apiservices.apiregistration.k8s.io': extensions,
  'customresourcedefinitions.apiextensions.k8s.io': extensions,
  'mutatingadmissionpolicies.admissionregistration.k8s.io': extensions,
  'mutatingadmissionpolicybindings.admissionregistration.k8s.io': extensions,
  'mutatingwebhookconfigurations.admissionregistration.k8s.io': extensions,
  'validatingadmissionpolicies.admissionregistration.k8s.io': extensions,
  'validatingadmissionpolicybindings.admissionregistration.k8s.io': extensions,
  'validatingwebhookconfigurations.admissionregistration.k8s.io': extensions,
};

/** Resources that are another name for the objects of a core resource. */
export const storedAs: Readonly<Record<string, string>> = { 'events.events.k8s.io': 'events' };
