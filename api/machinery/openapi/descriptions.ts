import { kindsOf } from '../schema/table.js';
import { fieldTexts, kindTexts } from './kind-texts.js';

/** Short texts for `kubectl explain`, our own. Keyed by the definition's last part, then by field; `''` is the type itself. */
const texts: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  ObjectMeta: {
    '': 'What every stored object has: its name, its identity and who it belongs to.',
    annotations: 'Free-form notes by key; not used for selection.',
    creationTimestamp: 'When the server stored the object first; set by the server.',
    deletionTimestamp: 'When the object is to be gone; set by the server once deletion was asked for.',
    finalizers: 'Names of those who must finish their work before the object is removed.',
    generateName: 'A prefix; the server adds a random suffix and uses the result as name.',
    generation: 'Counts changes of the desired state; set by the server.',
    labels: 'Identifying keys and values, for selection.',
    managedFields: 'Which manager owns which fields, as server-side apply keeps it.',
    name: 'Unique among objects of the kind in the namespace; cannot be changed.',
    namespace: 'The namespace the object lives in; cannot be changed.',
    ownerReferences: 'The objects this one belongs to; when all are gone it is collected.',
    resourceVersion: 'Identifies this state of the object; opaque.',
    uid: 'Identifies this object in space and time; set by the server.',
  },
  Pod: {
    '': 'Containers that run together on one node and share its network address and volumes.',
    spec: 'What should run.',
    status: 'What is running, as last observed.',
  },
  PodSpec: {
    activeDeadlineSeconds: 'How long the pod may be active before it is failed.',
    affinity: 'Rules for the nodes and the neighbours the pod may or should have.',
    containers: 'The containers that make up the pod; at least one.',
    dnsPolicy: 'Where names are resolved: ClusterFirst, ClusterFirstWithHostNet, Default or None.',
    hostNetwork: "Use the node's network instead of one of the pod's own.",
    imagePullSecrets: 'Secrets with credentials for the registries of the images.',
    initContainers: 'Containers that run one after another before the others start.',
    nodeName: 'The node the pod is bound to; normally set by the scheduler.',
    nodeSelector: 'Labels a node must have.',
    restartPolicy: 'When containers are restarted: Always, OnFailure or Never.',
    securityContext: 'Security settings for all containers.',
    serviceAccountName: 'The ServiceAccount the pod acts as.',
    terminationGracePeriodSeconds:
      'How long containers have between being asked to stop and being killed; 30 unless set.',
    tolerations: 'Taints of nodes the pod accepts.',
    volumes: 'What containers can mount.',
  },
  Container: {
    args: "Arguments of the command; the image's own unless set.",
    command: "What to run; the image's entry point unless set. No shell is involved.",
    env: 'Environment variables, one by one.',
    envFrom: 'Environment variables from whole ConfigMaps and Secrets.',
    image: 'Reference of the image.',
    imagePullPolicy: 'When the image is pulled: Always, IfNotPresent or Never.',
    lifecycle: 'What to run after the start and before the stop.',
    livenessProbe: 'A check that restarts the container when it fails.',
    name: 'Unique within the pod.',
    ports: 'Ports the container listens on; informative, but for hostPort.',
    readinessProbe: 'A check that decides whether Services send traffic here.',
    resources: 'How much of each resource is asked for and allowed.',
    startupProbe: 'A check that must succeed before the other probes begin.',
    volumeMounts: "Where the pod's volumes appear in the file system.",
    workingDir: "Directory the command starts in; the image's own unless set.",
  },
  Deployment: {
    '': 'Keeps a number of equal pods running and replaces them step by step when their template changes.',
  },
  DeploymentSpec: {
    minReadySeconds: 'How long a new pod must be ready to count as available.',
    paused: 'Stop rolling out changes of the template.',
    progressDeadlineSeconds: 'How long a rollout may make no progress before it is reported as failed.',
    replicas: 'How many pods there should be; 1 unless set.',
    revisionHistoryLimit: 'How many old ReplicaSets are kept to roll back to; 10 unless set.',
    selector: 'Selects the pods that belong to the Deployment; must match the template and cannot be changed.',
    strategy: 'How old pods give way to new ones.',
    template: 'What new pods look like.',
  },
  ReplicaSet: { '': 'Keeps a number of equal pods running.' },
  StatefulSet: { '': 'Runs pods that have an identity: a number, a name and storage of their own.' },
  DaemonSet: { '': 'Runs one pod on every node that fits.' },
  Job: { '': 'Runs pods until a number of them has succeeded.' },
  CronJob: { '': 'Creates Jobs on a schedule.' },
  Service: { '': 'A stable name and address in front of a changing set of pods.' },
  ServiceSpec: {
    clusterIP: 'The address inside the cluster; None for a Service that is only a name.',
    ports: 'The ports that are offered.',
    selector: 'Labels of the pods that traffic goes to.',
    type: 'How the Service is reached: ClusterIP, NodePort, LoadBalancer or ExternalName.',
  },
  Namespace: { '': 'A scope for names.' },
  Node: { '': 'A machine that runs pods.' },
  ConfigMap: { '': 'Configuration that pods can read.' },
  Secret: { '': 'Confidential data that pods can read.' },
  ServiceAccount: { '': 'An identity for processes in pods.' },
  PersistentVolumeClaim: { '': 'A request for storage.' },
  PersistentVolume: { '': 'A piece of storage.' },
  Ingress: { '': 'Rules that lead HTTP requests from outside to Services.' },
  NetworkPolicy: { '': 'Which traffic pods may receive and send.' },
  EndpointSlice: { '': 'Addresses of the pods behind a Service.' },
  Lease: { '': 'A lock that has to be renewed; used for leadership and heartbeats.' },
  Event: { '': 'Something that happened to an object.' },
  Role: { '': 'Permissions within a namespace.' },
  ClusterRole: { '': 'Permissions in the whole cluster, or a set of them to grant in any namespace.' },
  RoleBinding: { '': 'Gives a role to users, groups or service accounts in a namespace.' },
  ClusterRoleBinding: { '': 'Gives a role to users, groups or service accounts in the whole cluster.' },
  CustomResourceDefinition: { '': 'Adds a kind to the API.' },
  HorizontalPodAutoscaler: { '': 'Changes the number of replicas by observed load.' },
  PodDisruptionBudget: { '': 'How many pods of a set may be down on purpose at once.' },
};

/** What every kind has. */
const common = {
  apiVersion: 'The version of the kind this object is written in.',
  kind: 'What the object is.',
  metadata: 'Name, labels and the other metadata of the object.',
  spec: 'The state that is wanted.',
  status: 'The state as last observed.',
} as const;

/** The text of a field that kinds in no table have as well. */
export const commonDescription = (field: keyof typeof common): string => common[field];

export function descriptionOf(definition: string, field: string): string | undefined {
  const name = definition.slice(definition.lastIndexOf('.') + 1);
  for (const known of [texts, fieldTexts]) {
    const type = Object.hasOwn(known, name) ? known[name]! : undefined;
    if (type && Object.hasOwn(type, field)) return type[field];
  }
  if (field === '') return Object.hasOwn(kindTexts, name) ? kindTexts[name] : undefined;
  return Object.hasOwn(common, field) && kindsOf(definition)
    ? commonDescription(field as keyof typeof common)
    : undefined;
}
