import { readFileSync } from 'node:fs';
import * as fs from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Container, type PodSpec, schemaOf } from '@trimtab/machinery';
import { NodeFiles } from '../container/node-files.js';
import { podLayout } from '../container/pod-layout.js';
import { SimulatedVolumes } from '../simulated/simulated-node.js';
import type { ObjectTracker } from '../volumes/object-tracker.js';
import { admit } from './admission.js';
import type { Pod } from './api.js';
import { Held } from './held.js';

/**
 * Every field a pod can have, and what becomes of it here. A field that the API gains and nobody has judged fails the first
 * test; what is said of a field is tried out by the others.
 */

/** `starts`: a pod with it is started differently than one without; the change is made to a plain pod's spec or container. */
const starts = <T>(change: T) => ({ starts: change });
/** `refused`: with the reason and a part of the message that the pod's Failed status and event carry. */
const refused = <T>(change: T, reason: string, message: string) => ({ refused: { change, reason, message } });
/** `tested`: it shows in the pod's life, and this test of this package watches it there. */
const tested = (file: string, name: string) => ({ tested: { file, name } });
/** `elsewhere`: who honours it; the kubelet has no part in it. */
const elsewhere = (who: string) => ({ elsewhere: who });

type Verdict =
  | { readonly starts: object }
  | { readonly refused: { readonly change: object; readonly reason: string; readonly message: string } }
  | { readonly tested: { readonly file: string; readonly name: string } }
  | { readonly elsewhere: string };
type Verdicts = Readonly<Record<string, Verdict>>;

const life = (name: string) => tested('pod/containers.test.ts', name);
const ending = (name: string) => tested('pod/termination.test.ts', name);
const probing = (name: string) => tested('probes/probes.test.ts', name);
const real = (name: string) => tested('kubelet-native.test.ts', name);

const spec = (change: Partial<PodSpec>) => change;
const POD: Verdicts = {
  activeDeadlineSeconds: ending('activeDeadlineSeconds ends the pod as Failed'),
  affinity: refused(
    spec({
      affinity: {
        nodeAffinity: {
          requiredDuringSchedulingIgnoredDuringExecution: {
            nodeSelectorTerms: [{ matchExpressions: [{ key: 'disk', operator: 'In', values: ['ssd'] }] }],
          },
        },
      },
    }),
    'NodeAffinity',
    "didn't match Pod's node affinity/selector",
  ),
  automountServiceAccountToken: elsewhere('ServiceAccount admission: it mounts the token, or does not'),
  containers: life('is restarted at once the first time, then after 1 s doubling, and says so'),
  dnsConfig: starts(spec({ dnsConfig: { nameservers: ['9.9.9.9'] } })),
  dnsPolicy: starts(spec({ dnsPolicy: 'None' })),
  enableServiceLinks: starts(spec({ enableServiceLinks: false })),
  ephemeralContainers: life('an ephemeral container joins, is never restarted and does not count'),
  hostAliases: starts(spec({ hostAliases: [{ ip: '10.9.9.9', hostnames: ['old'] }] })),
  hostIPC: starts(spec({ hostIPC: true })),
  hostNetwork: starts(spec({ hostNetwork: true })),
  hostPID: starts(spec({ hostPID: true })),
  hostUsers: starts(spec({ hostUsers: false })),
  hostname: starts(spec({ hostname: 'other' })),
  hostnameOverride: starts(spec({ hostnameOverride: 'whole.name' })),
  imagePullSecrets: elsewhere('the image store: whoever pulls is handed them'),
  initContainers: life('run one by one in order, and the pod tells where it stands'),
  nodeName: elsewhere('the scheduler: a node is only handed pods that bear its name'),
  nodeSelector: refused(spec({ nodeSelector: { disk: 'ssd' } }), 'NodeAffinity', 'node affinity/selector'),
  os: refused(spec({ os: { name: 'windows' } }), 'PodOSNotSupported', 'windows'),
  overhead: starts(spec({ overhead: { cpu: '250m' } })),
  preemptionPolicy: elsewhere('the scheduler'),
  priority: starts(spec({ priority: 2_000_001_000 })),
  priorityClassName: elsewhere('Priority admission writes spec.priority from it'),
  readinessGates: life('a readiness gate keeps a pod from being ready until its condition is true'),
  resourceClaims: refused(spec({ resourceClaims: [{ name: 'gpu' }] }), 'UnsupportedField', 'resourceClaims'),
  resources: starts(spec({ resources: { limits: { memory: '64Mi' } } })),
  restartPolicy: life('is restarted by its policy only, and the phase says how it went'),
  runtimeClassName: starts(spec({ runtimeClassName: 'crun' })),
  schedulerName: elsewhere('the scheduler'),
  schedulingGates: elsewhere('the scheduler: a gated pod is bound to no node'),
  schedulingGroup: elsewhere('the scheduler'),
  securityContext: elsewhere('by field, below'),
  serviceAccount: elsewhere('defaulting keeps it equal to serviceAccountName'),
  serviceAccountName: elsewhere('ServiceAccount admission; the kubelet asks for its tokens'),
  setHostnameAsFQDN: starts(spec({ subdomain: 'pods', setHostnameAsFQDN: true })),
  shareProcessNamespace: starts(spec({ shareProcessNamespace: true })),
  subdomain: starts(spec({ subdomain: 'pods' })),
  terminationGracePeriodSeconds: ending('SIGTERM, the whole grace, SIGKILL, and only then the object goes'),
  tolerations: elsewhere('the scheduler, and the controller that evicts by taints'),
  topologySpreadConstraints: elsewhere('the scheduler'),
  volumes: real('run, are seen into, and go away without a trace'),
};

const inPod = (securityContext: PodSpec['securityContext']) => spec({ securityContext });
const POD_SECURITY: Verdicts = {
  appArmorProfile: refused(inPod({ appArmorProfile: { type: 'RuntimeDefault' } }), 'AppArmor', 'AppArmor is not'),
  fsGroup: starts(inPod({ fsGroup: 3000 })),
  fsGroupChangePolicy: elsewhere('volumes: whether a volume that is right at its root is walked'),
  runAsGroup: starts(inPod({ runAsGroup: 3000 })),
  runAsNonRoot: tested('container/rules.test.ts', 'what cannot be resolved never falls back to root'),
  runAsUser: starts(inPod({ runAsUser: 1234 })),
  seLinuxChangePolicy: elsewhere('volumes: without labels there is nothing to change'),
  seLinuxOptions: refused(inPod({ seLinuxOptions: { level: 's0' } }), 'UnsupportedField', 'seLinuxOptions'),
  seccompProfile: starts(inPod({ seccompProfile: { type: 'Unconfined' } })),
  supplementalGroups: starts(inPod({ supplementalGroups: [4000] })),
  supplementalGroupsPolicy: starts(inPod({ supplementalGroupsPolicy: 'Strict' })),
  sysctls: starts(inPod({ sysctls: [{ name: 'net.ipv4.tcp_syncookies', value: '1' }] })),
  windowsOptions: refused(inPod({ windowsOptions: { hostProcess: true } }), 'UnsupportedField', 'windowsOptions'),
};

const container = (change: Partial<Container>) => spec({ containers: [{ ...MAIN, ...change }] });
const MAIN: Container = { name: 'main', image: 'web:1', command: ['serve'] };
const CONTAINER: Verdicts = {
  args: starts(container({ args: ['more'] })),
  command: starts(container({ command: ['other'] })),
  env: starts(container({ env: [{ name: 'A', value: '1' }] })),
  envFrom: starts(container({ envFrom: [{ configMapRef: { name: 'settings' } }] })),
  image: life('a new image ends the container and starts the new one, whatever the policy'),
  imagePullPolicy: life('names a bad image and an image that may not be pulled'),
  lifecycle: elsewhere('by field, below'),
  livenessProbe: probing('startup gates the others; liveness kills and the container starts anew'),
  name: starts(spec({ containers: [{ ...MAIN, name: 'other' }] })),
  ports: probing('httpGet sends its headers to a named port; 200 to 399 is success'),
  readinessProbe: probing('readiness decides Ready at once, in both directions'),
  resizePolicy: tested('pod/resize.test.ts', 'a policy of RestartContainer starts the container anew'),
  resources: starts(container({ resources: { limits: { memory: '64Mi' } } })),
  restartPolicy: tested(
    'container/rules.test.ts',
    'back-off doubles to its cap, and what is restarted depends on kind, policy and rules',
  ),
  restartPolicyRules: tested(
    'container/rules.test.ts',
    'back-off doubles to its cap, and what is restarted depends on kind, policy and rules',
  ),
  securityContext: elsewhere('by field, below'),
  startupProbe: probing('startup gates the others; liveness kills and the container starts anew'),
  stdin: starts(container({ stdin: true })),
  stdinOnce: starts(container({ stdinOnce: true })),
  targetContainerName: real('an ephemeral container sees the processes of its target'),
  terminationMessagePath: starts(container({ terminationMessagePath: '/last-words' })),
  terminationMessagePolicy: real('ends are told as they were'),
  tty: starts(container({ tty: true })),
  volumeDevices: refused(
    container({ volumeDevices: [{ name: 'raw', devicePath: '/dev/x' }] }),
    'UnsupportedField',
    'volumeDevices',
  ),
  volumeMounts: starts(container({ volumeMounts: [{ name: 'data', mountPath: '/data' }] })),
  workingDir: starts(container({ workingDir: '/srv' })),
};

const inContainer = (securityContext: Container['securityContext']) => container({ securityContext });
const CONTAINER_SECURITY: Verdicts = {
  allowPrivilegeEscalation: starts(inContainer({ allowPrivilegeEscalation: false })),
  appArmorProfile: refused(inContainer({ appArmorProfile: { type: 'Localhost' } }), 'AppArmor', 'AppArmor is not'),
  capabilities: starts(inContainer({ capabilities: { drop: ['ALL'] } })),
  privileged: starts(inContainer({ privileged: true })),
  procMount: starts(inContainer({ procMount: 'Unmasked' })),
  readOnlyRootFilesystem: starts(inContainer({ readOnlyRootFilesystem: true })),
  runAsGroup: starts(inContainer({ runAsGroup: 5 })),
  runAsNonRoot: tested('container/rules.test.ts', 'what cannot be resolved never falls back to root'),
  runAsUser: starts(inContainer({ runAsUser: 5 })),
  seLinuxOptions: refused(inContainer({ seLinuxOptions: { type: 't' } }), 'UnsupportedField', 'seLinuxOptions'),
  seccompProfile: starts(inContainer({ seccompProfile: { type: 'Unconfined' } })),
  windowsOptions: refused(inContainer({ windowsOptions: { hostProcess: true } }), 'UnsupportedField', 'windows'),
};

const LIFECYCLE: Verdicts = {
  postStart: probing('postStart holds the container back, and its failure kills it'),
  preStop: ending('the countdown starts before preStop, and at least two seconds are left for the signal'),
  stopSignal: starts(container({ lifecycle: { stopSignal: 'SIGUSR1' } })),
};

const HOOK: Verdicts = {
  exec: probing('hooks are commands, requests and sleeps'),
  httpGet: probing('hooks are commands, requests and sleeps'),
  sleep: probing('hooks are commands, requests and sleeps'),
  tcpSocket: refused(
    container({ lifecycle: { preStop: { tcpSocket: { port: 1 } } } }),
    'UnsupportedField',
    'lifecycle tcpSocket',
  ),
};

const PROBE: Verdicts = {
  exec: probing('exec: an exit code, a late answer, a missing command and a deaf runtime'),
  failureThreshold: probing('thresholds, periods and delays'),
  grpc: probing('grpc asks the health service by name'),
  httpGet: probing('httpGet sends its headers to a named port; 200 to 399 is success'),
  initialDelaySeconds: probing('thresholds, periods and delays'),
  periodSeconds: probing('thresholds, periods and delays'),
  successThreshold: probing('thresholds, periods and delays'),
  tcpSocket: probing('tcpSocket connects; a closed port and a silent server are failures'),
  terminationGracePeriodSeconds: probing('a probe has a grace of its own'),
  timeoutSeconds: probing('tcpSocket connects; a closed port and a silent server are failures'),
};

const mounted = (change: object) => container({ volumeMounts: [{ name: 'data', mountPath: '/data', ...change }] });
const MOUNT: Verdicts = {
  mountPath: starts(mounted({})),
  mountPropagation: elsewhere('volumes: propagation that the node’s own mounts do not have is refused there'),
  name: starts(mounted({ name: 'other' })),
  readOnly: starts(mounted({ readOnly: true })),
  recursiveReadOnly: starts(mounted({ readOnly: true, recursiveReadOnly: 'Enabled' })),
  subPath: starts(mounted({ subPath: 'a' })),
  subPathExpr: starts(mounted({ subPathExpr: 'b' })),
};

const from = (valueFrom: object) => container({ env: [{ name: 'A', valueFrom }] });
const ENV_SOURCE: Verdicts = {
  configMapKeyRef: starts(from({ configMapKeyRef: { name: 'settings', key: 'color' } })),
  fieldRef: starts(from({ fieldRef: { fieldPath: 'metadata.name' } })),
  fileKeyRef: tested(
    'container/node-sources.test.ts',
    'variables come from files that containers write, and from nowhere else',
  ),
  resourceFieldRef: starts(from({ resourceFieldRef: { resource: 'limits.cpu' } })),
  secretKeyRef: starts(from({ secretKeyRef: { name: 'keys', key: 'password' } })),
};

const RESOURCES: Verdicts = {
  claims: refused(container({ resources: { claims: [{ name: 'gpu' }] } }), 'UnsupportedField', 'resources.claims'),
  limits: starts(container({ resources: { limits: { cpu: '1' } } })),
  requests: starts(container({ resources: { requests: { cpu: '1' } } })),
};

const RULE: Verdicts = {
  action: tested(
    'container/rules.test.ts',
    'back-off doubles to its cap, and what is restarted depends on kind, policy and rules',
  ),
  exitCodes: tested(
    'container/rules.test.ts',
    'back-off doubles to its cap, and what is restarted depends on kind, policy and rules',
  ),
};

const TABLES: readonly (readonly [string, Verdicts])[] = [
  ['PodSpec', POD],
  ['PodSecurityContext', POD_SECURITY],
  ['EphemeralContainer', CONTAINER],
  ['SecurityContext', CONTAINER_SECURITY],
  ['Lifecycle', LIFECYCLE],
  ['LifecycleHandler', HOOK],
  ['Probe', PROBE],
  ['VolumeMount', MOUNT],
  ['EnvVarSource', ENV_SOURCE],
  ['ResourceRequirements', RESOURCES],
  ['ContainerRestartRule', RULE],
];
const cases = TABLES.flatMap(([type, verdicts]) =>
  Object.entries(verdicts).map(([field, verdict]) => ({ field: `${type}.${field}`, verdict })),
);

const plain = (change: Partial<PodSpec> = {}): Pod => ({
  metadata: { namespace: 'ns', name: 'web', uid: 'u1' },
  spec: { containers: [MAIN], volumes: ['data', 'other'].map((name) => ({ name, emptyDir: {} })), ...change },
});

test.each(TABLES)('every field of %s has been judged', (type, verdicts) => {
  const known = Object.keys(schemaOf(`io.k8s.api.core.v1.${type}`)?.properties ?? {});
  expect(known.length).toBeGreaterThan(0);
  expect(Object.keys(verdicts).sort()).toEqual(known.sort());
});

describe('what is started differently', () => {
  let dir: string;
  beforeAll(async () => {
    dir = await fs.mkdtemp(join(tmpdir(), 'fields-'));
    await fs.mkdir(join(dir, 'layer/etc'), { recursive: true });
    await fs.writeFile(join(dir, 'layer/etc/passwd'), 'root:x:0:0::/root:/bin/sh\n');
    await fs.writeFile(join(dir, 'layer/etc/group'), 'wheel:x:10:root\n');
  });
  afterAll(() => fs.rm(dir, { recursive: true, force: true }));

  /** All that the runtime is asked for, and the files the kubelet writes for it. */
  async function started(pod: Pod): Promise<string> {
    const layout = podLayout(join(dir, 'root'), join(dir, 'logs'), undefined);
    class Volumes extends SimulatedVolumes {
      override pathOf(_pod: Pod, name: string): string {
        return join(dir, 'volumes', name);
      }
    }
    for (const name of ['data', 'other']) await fs.mkdir(join(dir, 'volumes', name), { recursive: true });
    const objects = {
      ConfigMap: { data: { color: 'red' } },
      Secret: { data: { password: Buffer.from('s3cret').toString('base64') } },
    };
    const tracker = { get: ({ kind }: { kind: keyof typeof objects }) => objects[kind] } as unknown as ObjectTracker;
    const files = new NodeFiles({
      layout,
      volumes: new Volumes(),
      tracker,
      services: () => [
        { metadata: { namespace: 'ns', name: 'db' }, spec: { clusterIP: '10.96.0.9', ports: [{ port: 1 }] } },
      ],
      clusterDns: ['10.96.0.10'],
      clusterDomain: 'cluster.local',
      nodeMemoryBytes: 2 ** 33,
      runtimeHandler: async (name) => name,
      downward: (of) => ({
        pod: of,
        nodeName: 'n1',
        hostIP: '192.168.0.1',
        podIPs: [],
        allocatable: { cpu: '4', memory: '8Gi' },
      }),
    });
    const image = { id: 'i', tags: ['web:1'], digests: [], size: 1, layers: [join(dir, 'layer')], config: {} };
    const of = pod.spec.containers[0]!;
    const prepared = await files.prepare({ pod, container: of, attempt: 0, image, podIPs: ['10.244.0.5'] });
    // A pinned subPath is a descriptor, whose number says nothing; where it leads does.
    const pinned = /\/proc\/self\/fd\/\d+|\/proc\/\d+\/fd\/\d+/g;
    const targets = [...JSON.stringify(prepared.config).matchAll(pinned)].map(([path]) => fs.readlink(path));
    const texts = ['hosts', 'hostname', 'resolv.conf'] as const;
    const written = await Promise.all(texts.map((name) => fs.readFile(layout.file('u1', name), 'utf8')));
    const all = [await files.sandbox(pod), prepared.config, await Promise.all(targets), written];
    await prepared.release();
    return JSON.stringify(all).replaceAll(pinned, 'pinned');
  }

  const changing = cases.flatMap(({ field, verdict }) => ('starts' in verdict ? [{ field, ...verdict }] : []));
  test.each(changing)('$field', async ({ field, starts: change }) => {
    const without = /VolumeMount\.(?!mountPath)/.test(field) ? mounted({}) : {};
    expect(admit(plain(change), { allocatable: {}, labels: {} }, new Held().beside(''))).toBeUndefined();
    expect(await started(plain(change))).not.toBe(await started(plain(without)));
  });
});

const refusals = cases.flatMap(({ field, verdict }) => ('refused' in verdict ? [{ field, ...verdict.refused }] : []));
test.each(refusals)('$field is refused as $reason', ({ change, reason, message }) => {
  const verdict = admit(plain(change), { allocatable: {}, labels: {} }, new Held().beside(''));
  expect(verdict?.reason).toBe(reason);
  expect(verdict?.message).toContain(message);
});

test('the tests that are named exist', () => {
  const here = dirname(dirname(fileURLToPath(import.meta.url)));
  const missing = cases.flatMap(({ field, verdict }) => {
    if (!('tested' in verdict)) return [];
    const { file, name } = verdict.tested;
    const titles = readFileSync(join(here, file), 'utf8').match(
      /(?:test|describe|real)(?:\.each)?[^'"`]*(['"`])(.*?)\1/g,
    );
    return titles?.some((title) => title.includes(name)) ? [] : [`${field}: ${file}: ${name}`];
  });
  expect(missing).toEqual([]);
});
