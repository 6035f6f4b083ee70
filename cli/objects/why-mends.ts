import type { ExitRecord } from '@trimtab/kubelet-lite';
import type { Container, ContainerStatus, Event, Pod, Probe } from '@trimtab/machinery';
import { bytesText, oneLine } from './why-exits.js';

/** Everything that is known when a pod is to be mended. */
export interface Findings {
  readonly pod: Pod;
  readonly exits: readonly ExitRecord[];
  /** About the pod, oldest first. */
  readonly events: readonly Event[];
}

/** What would likely mend the pod, most likely first; none where nothing is wrong. Pure. */
export function mendsOf(findings: Findings): readonly string[] {
  const { pod, exits } = findings;
  const { status } = pod;
  const containers = [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])];
  const found = [
    ...podMends(findings),
    ...containers.flatMap((container) => {
      const last = exits.findLast((exit) => exit.container === container.name);
      return containerMends(findings, container, last);
    }),
  ];
  return [...new Set(found)];
}

/** What the scheduler's rules say would place a pod, as people say it. */
export function changeText(change: string): string {
  const claim = /^persistentvolumeclaim "([^"]+)" not found$/.exec(change)?.[1];
  if (claim) return `create the PersistentVolumeClaim "${claim}"`;
  return change.replace(/\b(\d+)Ki\b/, (_, kibibytes: string) => bytesText(Number(kibibytes) * 1024));
}

function podMends({ pod, events }: Findings): readonly string[] {
  const { status } = pod;
  if (status?.reason === 'Evicted') return [evictedMend(status.message ?? '')];
  if (status?.reason === 'DeadlineExceeded')
    return [`it may run ${pod.spec?.activeDeadlineSeconds ?? 'only so many'} s: raise spec.activeDeadlineSeconds`];
  const refused = /^Pod was rejected: (.*)/s.exec(status?.message ?? '')?.[1];
  if (refused)
    return [`the node refused it: ${oneLine(refused)}; it will not be tried again: delete it, and make another`];
  if (status?.reason === 'Terminated' || status?.reason === 'NodeShutdown')
    return [
      'its node was shut down: what has a controller is made anew elsewhere, delete the others and make them again',
    ];
  const creating = status?.containerStatuses?.some(({ state }) => state?.waiting?.reason === 'ContainerCreating');
  if (!(creating ?? status?.phase === 'Pending')) return [];
  const last = events.findLast(({ reason }) => reason === 'FailedMount' || reason === 'FailedCreatePodSandBox');
  const message = oneLine(last?.message ?? '');
  if (!last) return [];
  return [last.reason === 'FailedMount' ? mountMend(message) : `its network or namespaces cannot be made: ${message}`];
}

function evictedMend(message: string): string {
  const resource = /resource: ([\w-]+)|local ([\w-]+) usage|volume "([^"]+)"/.exec(message);
  if (/emptydir volume/i.test(message)) return 'raise the sizeLimit of that emptyDir, or write less into it';
  if (resource?.[1] === 'memory')
    return 'give it a memory request that covers what it uses: pods within their requests are evicted last';
  if (message.includes('limit')) return "raise its containers' resources.limits.ephemeral-storage, or write less";
  return 'free disk space on the node, or give it an ephemeral-storage request that covers what it writes';
}

function mountMend(message: string): string {
  const missing = /(configmap|secret) "([^"]+)" not found/i.exec(message);
  if (missing) return missingMend(missing[1]!.toLowerCase(), missing[2]!);
  if (/references non-existent config key|non-existent secret key/.test(message))
    return `the key is not there: ${message}`;
  if (/hostPath type check failed/.test(message))
    return `make what it mounts on the node, or let the node make it with type DirectoryOrCreate: ${message}`;
  return `a volume cannot be mounted: ${message}`;
}

const missingMend = (kind: string, name: string): string =>
  `create the ${kind} "${name}" in its namespace (it goes on by itself then), or mark the reference optional: true`;

function containerMends(findings: Findings, status: ContainerStatus, last: ExitRecord | undefined): readonly string[] {
  const { pod } = findings;
  const { name, state, restartCount } = status;
  const say = (text: string): readonly string[] => [`${name}: ${text}`];
  const container = [...(pod.spec?.initContainers ?? []), ...(pod.spec?.containers ?? [])].find((c) => c.name === name);
  const waiting = state?.waiting?.reason ?? '';
  if (IMAGE_REASONS.has(waiting))
    return say(imageMend(container?.image ?? status.image, state?.waiting?.message ?? ''));
  if (waiting.startsWith('CreateContainer')) return say(configMend(state?.waiting?.message ?? ''));
  if (waiting === 'PostStartHookError')
    return say(
      `its postStart hook failed, and it is killed for it each time: ${oneLine(state?.waiting?.message ?? '')}`,
    );
  if (waiting === 'RunContainerError' || waiting === 'ContainerCannotRun')
    return say(startMend(state?.waiting?.message ?? ''));
  if (state?.running && restartCount === 0) return status.ready ? [] : readinessMend(findings, status, container);
  const neverRan = [state?.terminated, status.lastState?.terminated].find((end) =>
    /^failed to start container/.test(end?.message ?? ''),
  );
  if (neverRan && !state?.running) return say(startMend(neverRan.message ?? ''));
  const ended = last ?? endOf(status);
  const why = ended && exitMend(ended, container, pod);
  return why ? say(why) : [];
}

const IMAGE_REASONS: ReadonlySet<string> = new Set([
  'ErrImagePull',
  'ImagePullBackOff',
  'ErrImageNeverPull',
  'InvalidImageName',
]);

function imageMend(image: string, message: string): string {
  if (/unauthorized|denied|401|403/i.test(message))
    return `the registry does not let it in: name a secret with credentials for ${image} in spec.imagePullSecrets`;
  if (/invalid reference|couldn.t parse|InvalidImageName/i.test(message))
    return `"${image}" is no image name: correct it`;
  if (/manifest unknown|not found|404/i.test(message))
    return `the registry has no ${image}: see whether name and tag are right`;
  if (/ENOTFOUND|EAI_AGAIN|no such host/.test(message))
    return `the registry's name cannot be resolved: see whether ${image} is right and the node has DNS, or load it (trimtab image load <archive>)`;
  if (/pull policy of Never/i.test(message))
    return `load ${image} on the node (trimtab image load <archive>), or let imagePullPolicy be IfNotPresent`;
  return `load ${image} on the node (trimtab image load <archive>; trimtab image ls shows what is there), or see whether its registry can be reached`;
}

function configMend(message: string): string {
  const missing = /(configmap|secret) "([^"]+)" not found/i.exec(message);
  if (missing) return missingMend(missing[1]!.toLowerCase(), missing[2]!);
  const key = /couldn't find key (\S+) in (ConfigMap|Secret) (\S+)/.exec(message);
  if (key)
    return `add the key ${key[1]} to the ${key[2]!.toLowerCase()} ${key[3]}, or mark the reference optional: true`;
  if (/runAsNonRoot/i.test(message))
    return 'the image runs as root: set securityContext.runAsUser, or use an image with a user of its own';
  return `correct what the message names: ${oneLine(message)}`;
}

function startMend(message: string): string {
  if (/ENOENT|no such file|not found/i.test(message))
    return `the image has no such program: correct command and args, or the image (${oneLine(message)})`;
  if (/EACCES|permission denied/i.test(message))
    return `the program may not be executed: see its mode in the image and runAsUser (${oneLine(message)})`;
  return oneLine(message);
}

function readinessMend(
  { events }: Findings,
  { name }: ContainerStatus,
  container: Container | undefined,
): readonly string[] {
  const unhealthy = events.findLast(
    ({ reason, involvedObject, message }) =>
      reason === 'Unhealthy' && involvedObject.fieldPath?.includes(`{${name}}`) && /^Readiness/.test(message ?? ''),
  );
  if (!unhealthy) return [];
  return [
    `${name}: it runs and is not ready: ${oneLine(unhealthy.message ?? '')}; ${probeMend(unhealthy.message ?? '', container?.readinessProbe)}`,
  ];
}

/** Undefined where nothing is wrong with the container: it was ended because its pod was. */
function exitMend(exit: ExitRecord, container: Container | undefined, pod: Pod): string | undefined {
  if (exit.reason === 'OOMKilled') return oomMend(exit);
  const probe = /failed (liveness|startup) probe/.exec(exit.killedFor ?? '')?.[1] as 'liveness' | 'startup' | undefined;
  if (probe) {
    const answer = exit.probes.find(({ kind }) => kind.toLowerCase() === probe)?.output ?? '';
    return `its ${probe} probe failed${answer ? ` (${oneLine(answer)})` : ''}: ${probeMend(answer, container?.[`${probe}Probe`], probe)}`;
  }
  if (/pod's own process died/.test(exit.killedFor ?? ''))
    return 'the process that holds the pod together was killed, and the pod was made anew: see who on the node (kill -9, or dmesg for want of memory)';
  if (/postStart/i.test(exit.killedFor ?? ''))
    return 'its postStart hook failed, and it was killed for it: run the hook by hand in the container, or correct it';
  if (exit.killedFor && pod.status?.reason) return undefined;
  if (exit.exitCode === 127)
    return `the command was not found in the image${lastSaid(exit, ' (', ')')}: correct command and args, or the script they run`;
  if (exit.exitCode === 126)
    return 'the command is there and cannot be executed: see its mode, or its interpreter line';
  if (exit.signal === 'SIGSEGV' || exit.exitCode === 139)
    return 'the program crashed (a memory fault of its own): its last lines and a newer or older image are where to look';
  if (exit.signal === 'SIGABRT' || exit.exitCode === 134)
    return 'the program gave itself up (abort): its last lines say why';
  if (exit.exitCode === 0)
    return (pod.spec?.restartPolicy ?? 'Always') === 'Always'
      ? 'it ended by itself, and is started again because restartPolicy is Always: what has an end belongs in a Job, what has none must stay in the foreground'
      : 'it has done its work';
  if (exit.signal === 'SIGKILL' && !exit.killedFor)
    return 'somebody killed it (kill -9), neither the kubelet nor for want of memory: see who on the node';
  const how = exit.signal ? `was ended by ${exit.signal}` : `itself gave up with code ${exit.exitCode}`;
  return exit.log.length > 0
    ? `the program ${how}${lastSaid(exit, '; it said last: ')}`
    : `the program ${how} and wrote nothing: run its command by hand, such as with kubectl debug`;
}

/** The last line it wrote, if any. */
function lastSaid({ log }: ExitRecord, before: string, after = ''): string {
  const line = oneLine(log.findLast((text) => text.trim() !== '') ?? '');
  return line === '' ? '' : `${before}${line}${after}`;
}

function oomMend({ memoryLimit, oomKills = [], memoryPeak }: ExitRecord): string {
  const last = oomKills.at(-1);
  if (last?.limitOf === 'node')
    return 'the node had no memory left: give the pods memory requests that cover what they use, so that fewer fit on a node';
  const limit = memoryLimit ?? memoryPeak;
  const raise =
    limit === undefined ? 'raise resources.limits.memory' : `raise resources.limits.memory above ${bytesText(limit)}`;
  return `${raise}, or find out what ${last ? `${last.command} needs ${last.bytes === undefined ? 'it' : bytesText(last.bytes)}` : 'it needs it'} for`;
}

function probeMend(answer: string, probe: Probe | undefined, kind?: 'liveness' | 'startup'): string {
  if (/refused/i.test(answer))
    return `nothing listens on ${portText(probe)}: see which port the program listens on, and that it is no loopback address${kind === 'liveness' ? '; a startupProbe gives it time to come up' : ''}`;
  if (/timed? ?out|deadline|timeout/i.test(answer))
    return `it answers too late: raise timeoutSeconds (${probe?.timeoutSeconds ?? 1}), or find out what it waits for`;
  if (/statuscode: (\d+)/.test(answer))
    return `the program answers ${/statuscode: (\d+)/.exec(answer)![1]} on ${probe?.httpGet?.path ?? '/'}: see whether the path is right, and what it says in its log`;
  if (kind) return 'see what the probe asks for; a startupProbe or a larger failureThreshold gives it more time';
  return 'see what the probe asks for';
}

function portText(probe: Probe | undefined): string {
  const port = probe?.httpGet?.port ?? probe?.tcpSocket?.port ?? probe?.grpc?.port;
  return port === undefined ? 'that port' : `port ${port}`;
}

/** What the API alone knows of a container's last end. */
function endOf({ name, state, lastState, image }: ContainerStatus): ExitRecord | undefined {
  const ended = state?.terminated ?? lastState?.terminated;
  if (!ended) return undefined;
  return {
    namespace: '',
    pod: '',
    uid: '',
    container: name,
    attempt: 0,
    image,
    reason: ended.reason ?? 'Error',
    exitCode: ended.exitCode,
    startedAt: ended.startedAt ?? '',
    finishedAt: ended.finishedAt ?? '',
    probes: [],
    log: ended.message ? [ended.message] : [],
  };
}
