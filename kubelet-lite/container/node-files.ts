import * as fs from 'node:fs/promises';
import { hostname as nodeHostname } from 'node:os';
import { dirname, join } from 'node:path';
import type { ConfigMap, Container, Secret, Service } from '@trimtab/machinery';
import type { SavedAllocation } from '../pod/allocation.js';
import { type Pod, uidOf } from '../pod/api.js';
import { containersOf } from '../pod/plan.js';
import type { OciMount } from '../runtime/oci.js';
import type { SandboxConfig } from '../runtime/runtime.js';
import type { VolumeMounts } from '../runtime/volume-mounts.js';
import { logTail } from '../streams/log-reader.js';
import { pinMountSources } from '../volumes/mount-sources.js';
import type { ObjectTracker } from '../volumes/object-tracker.js';
import type { VolumeManager } from '../volumes/volume-manager.js';
import { containerCgroupPath, podCgroupPath, podResources } from './cgroup.js';
import { ANNOTATION, type ContainerFiles, type ContainerRequest, type PreparedContainer } from './container-files.js';
import type { DownwardFacts } from './downward.js';
import { containerEnv } from './env.js';
import { readEnvFiles } from './env-file.js';
import { readImageFile } from './image-files.js';
import { defaultMounts, volumeMounts } from './mounts.js';
import { type DnsFacts, hostNetworkHostsFile, hostnameOf, hostsFile, resolverFile } from './network-files.js';
import { ociSpec } from './oci-spec.js';
import type { PodLayout } from './pod-layout.js';
import { localSeccompProfile, seccompProfileOf } from './seccomp-profile.js';
import { stopSignalOf } from './stop-signal.js';
import { resolveUser } from './user.js';
import { nodeUserNamespaces, type PodIdMaps, type UserNamespaces, withMappedIds } from './user-namespaces.js';

export interface NodeFilesOptions {
  readonly layout: PodLayout;
  /** Shared with who makes volumes; its own without. */
  readonly userNamespaces?: UserNamespaces;
  readonly volumes: VolumeManager;
  readonly tracker: ObjectTracker;
  readonly services: () => readonly Service[];
  readonly clusterDns: readonly string[];
  readonly clusterDomain: string;
  readonly nodeMemoryBytes: number;
  readonly podPidsLimit?: number;
  readonly downward: (pod: Pod) => DownwardFacts;
  /** The handler of a RuntimeClass; empty for the node's own runtime. Rejects when there is no such class. */
  readonly runtimeHandler?: (runtimeClassName: string) => Promise<string>;
  /** Without them a pod's shared memory is a directory. */
  readonly mounts?: VolumeMounts;
  /** Told what of a pod is not as it asks, for an event. */
  readonly warn?: (pod: Pod, reason: string, message: string) => void;
}

const MESSAGE_BYTES = 4_096;
/** Of all containers of a pod together: each has an equal part. */
const POD_MESSAGE_BYTES = 12_288;
/** What sethostname(2) takes. */
const MAX_LINUX_HOSTNAME = 64;
const FALLBACK_BYTES = 2_048;
const FALLBACK_LINES = 80;
const SHM_BYTES = 64 << 20;
const ETC_FILES = ['hosts', 'hostname', 'resolv.conf'] as const;

/** A real node's files and container configurations. */
export class NodeFiles implements ContainerFiles {
  readonly #options: NodeFilesOptions;
  readonly #userNamespaces: UserNamespaces;

  constructor(options: NodeFilesOptions) {
    this.#options = options;
    this.#userNamespaces = options.userNamespaces ?? nodeUserNamespaces(options.layout.podsDir);
  }

  async sandbox(pod: Pod): Promise<SandboxConfig> {
    const { layout } = this.#options;
    const { spec, metadata } = pod;
    const uid = uidOf(pod);
    const directory = join(layout.pod(uid), 'sandbox');
    const hostname = this.#hostname(pod);
    if (hostname.length > MAX_LINUX_HOSTNAME)
      throw new Error(
        `Failed to construct FQDN from Pod hostname and cluster domain, FQDN ${hostname} is too long (${MAX_LINUX_HOSTNAME} characters is the max, ${hostname.length} characters requested)`,
      );
    for (const warning of resolverFile(pod, await this.#dns()).warnings)
      this.#options.warn?.(pod, 'DNSConfigForming', warning);
    const userNamespace = await this.#idMaps(pod);
    const runtimeHandler = spec.runtimeClassName && (await this.#handler(spec.runtimeClassName));
    return {
      ...(userNamespace ? { userNamespace } : {}),
      ...(runtimeHandler ? { runtimeHandler } : {}),
      id: uid,
      namespace: metadata.namespace ?? '',
      name: metadata.name ?? '',
      hostname,
      hostNetwork: spec.hostNetwork ?? false,
      hostPid: spec.hostPID ?? false,
      hostIpc: spec.hostIPC ?? false,
      sharePid: spec.shareProcessNamespace ?? false,
      sysctls: Object.fromEntries(
        (spec.securityContext?.sysctls ?? []).map((s) => [s.name.replaceAll('/', '.'), s.value]),
      ),
      cgroupPath: podCgroupPath(spec, uid),
      resources: podResources(spec, this.#options.podPidsLimit),
      directory,
      annotations: {
        [ANNOTATION.podName]: metadata.name ?? '',
        [ANNOTATION.podNamespace]: metadata.namespace ?? '',
        [ANNOTATION.podUid]: uid,
      },
    };
  }

  /** On the node's network a pod bears the node's name. */
  #hostname(pod: Pod): string {
    return pod.spec.hostNetwork ? nodeHostname() : hostnameOf(pod, this.#options.clusterDomain);
  }

  async #handler(runtimeClassName: string): Promise<string> {
    const { runtimeHandler } = this.#options;
    if (!runtimeHandler) throw new Error(`no runtime for "${runtimeClassName}" is configured`);
    return runtimeHandler(runtimeClassName);
  }

  async prepare(request: ContainerRequest): Promise<PreparedContainer> {
    const { pod, container, attempt, image } = request;
    const { layout } = this.#options;
    const uid = uidOf(pod);
    const { volumes } = this.#options;
    const file = await readEnvFiles(container, (volume) => volumes.pathOf(pod, volume));
    const env = containerEnv(container, { ...this.#envSources(request), file });
    const logPath = layout.log(pod, container.name, attempt);
    const pinning = pinMountSources(pod, container, env, this.#options.volumes);
    try {
      // Side by side: a start is waited for, and each of these is a trip to the disk.
      const [pinned, passwd, group, etc, , message] = await Promise.all([
        pinning,
        readImageFile(image.layers, ['etc', 'passwd']),
        readImageFile(image.layers, ['etc', 'group']),
        this.#etcMounts(request),
        this.#makeShm(pod),
        this.#terminationMount(container, layout.terminationLog(uid, container.name, attempt)),
        fs.mkdir(dirname(logPath), { recursive: true, mode: 0o755 }),
      ]);
      const user = resolveUser(pod.spec, container, image.config.User, { passwd, group });
      const idMaps = await this.#idMaps(pod);
      const given = [...defaultMounts(this.#defaults(pod, container)), ...etc, message];
      const mounts = [
        ...(idMaps ? withMappedIds(given) : given),
        ...volumeMounts(pinned.sources, idMaps !== undefined),
      ];
      const profile = seccompProfileOf(pod.spec, container);
      const seccomp =
        profile?.type === 'Localhost' && !container.securityContext?.privileged
          ? await localSeccompProfile(layout.seccompDir, profile.localhostProfile ?? '')
          : undefined;
      const spec = ociSpec({
        pod,
        ...(seccomp ? { seccomp } : {}),
        ...(request.targetPid ? { targetPid: request.targetPid } : {}),
        container,
        image: image.config,
        env,
        user,
        mounts,
        ...(idMaps ? { idMaps } : {}),
        hostname: this.#hostname(pod),
        cgroupsPath: containerCgroupPath(pod.spec, uid, container.name, attempt),
        nodeMemoryBytes: this.#options.nodeMemoryBytes,
      });
      const config = {
        id: `${uid}-${container.name}-${attempt}`,
        name: container.name,
        spec,
        layers: image.layers,
        directory: layout.attempt(uid, container.name, attempt),
        logPath,
        stdin: container.stdin ?? false,
        stdinOnce: container.stdinOnce ?? false,
        tty: container.tty ?? false,
        annotations: {
          [ANNOTATION.container]: container.name,
          [ANNOTATION.attempt]: String(attempt),
          [ANNOTATION.image]: image.tags[0] ?? container.image ?? '',
          [ANNOTATION.imageID]: image.digests[0] ?? image.id,
          [ANNOTATION.definedImage]: container.image ?? '',
          [ANNOTATION.resources]: JSON.stringify(container.resources ?? {}),
          [ANNOTATION.user]: JSON.stringify({
            uid: user.uid,
            gid: user.gid,
            supplementalGroups: user.additionalGids,
          }),
          [ANNOTATION.stopSignal]: stopSignalOf(container, image.config),
        },
      };
      return { config, release: pinned.release };
    } catch (error) {
      await pinning.then(
        (pinned) => pinned.release(),
        () => {},
      );
      throw error;
    }
  }

  async terminationMessage(pod: Pod, container: Container, attempt: number, failed: boolean): Promise<string> {
    const { layout } = this.#options;
    const path = layout.terminationLog(uidOf(pod), container.name, attempt);
    const count = containersOf(pod.spec).length;
    const text = await readStart(path, Math.min(MESSAGE_BYTES, Math.floor(POD_MESSAGE_BYTES / count)));
    if (text !== '' || !failed || container.terminationMessagePolicy !== 'FallbackToLogsOnError') return text;
    return logTail(layout.log(pod, container.name, attempt), FALLBACK_LINES, FALLBACK_BYTES).catch(() => '');
  }

  async forgetAttempts(pod: Pod, container: string, attempt: number): Promise<void> {
    const { layout } = this.#options;
    if (attempt < 1) return;
    await fs.rm(layout.terminationLog(uidOf(pod), container, attempt - 1), { force: true });
    const directory = dirname(layout.log(pod, container, attempt));
    for (const file of await fs.readdir(directory)) {
      const of = Number(file.split('.')[0]);
      if (Number.isInteger(of) && of < attempt - 1) await fs.rm(join(directory, file), { force: true });
    }
  }

  async saveAllocation(pod: Pod, saved: SavedAllocation): Promise<void> {
    const path = this.#options.layout.allocation(uidOf(pod));
    await fs.mkdir(dirname(path), { recursive: true, mode: 0o750 });
    const handle = await fs.open(`${path}.new`, 'w', 0o600);
    try {
      await handle.writeFile(JSON.stringify(saved));
      await handle.sync();
    } finally {
      await handle.close();
    }
    await fs.rename(`${path}.new`, path);
  }

  async allocations(): Promise<ReadonlyMap<string, SavedAllocation>> {
    const { layout } = this.#options;
    const uids = await fs.readdir(layout.podsDir).catch(() => []);
    const found = await Promise.all(
      uids.map(async (uid) => {
        const text = await fs.readFile(layout.allocation(uid), 'utf8').catch(() => '');
        return text === '' ? [] : [[uid, JSON.parse(text) as SavedAllocation] as const];
      }),
    );
    return new Map(found.flat());
  }

  async removePod(uid: string): Promise<void> {
    const { layout, mounts } = this.#options;
    const shm = layout.shm(uid);
    if (shm) await mounts?.unmount(shm);
    await fs.rm(dirname(layout.small(uid)), { recursive: true, force: true });
    await fs.rm(layout.pod(uid), { recursive: true, force: true });
    this.#userNamespaces.release(uid);
  }

  async tidy(isKnown: (uid: string) => boolean): Promise<void> {
    const { podsDir, memoryDir, logDir } = this.#options.layout;
    await this.#options.volumes.tidy(isKnown);
    for (const directory of [podsDir, logDir, ...(memoryDir ? [memoryDir] : [])]) {
      for (const name of await fs.readdir(directory).catch(() => [])) {
        // Log directories are `<namespace>_<name>_<uid>`, the others bear the UID alone.
        if (isKnown(name.slice(name.lastIndexOf('_') + 1))) continue;
        await fs.rm(join(directory, name), { recursive: true, force: true });
        if (directory === podsDir) this.#userNamespaces.release(name);
      }
    }
  }

  async removeLogs(pod: Pod): Promise<void> {
    await fs.rm(this.#options.layout.logs(pod), { recursive: true, force: true });
  }

  async #idMaps(pod: Pod): Promise<PodIdMaps | undefined> {
    return this.#userNamespaces.ofPod(pod);
  }

  #envSources({ pod, podIPs }: ContainerRequest) {
    const { tracker, services, downward } = this.#options;
    const namespace = pod.metadata.namespace ?? '';
    return {
      ...downward(pod),
      podIPs,
      services: services(),
      configMap: (name: string) => tracker.get({ kind: 'ConfigMap', namespace, name }) as ConfigMap | undefined,
      secret: (name: string) => tracker.get({ kind: 'Secret', namespace, name }) as Secret | undefined,
    };
  }

  #defaults(pod: Pod, container: Container): { privileged: boolean; shm?: string } {
    const privileged = container.securityContext?.privileged ?? false;
    if (pod.spec.hostIPC) return { privileged, shm: '/dev/shm' };
    const shm = this.#options.layout.shm(uidOf(pod));
    return { privileged, ...(shm ? { shm } : {}) };
  }

  /** hosts, hostname and resolv.conf, except where the container mounts something of its own there. */
  async #etcMounts({ pod, container, podIPs }: ContainerRequest): Promise<readonly OciMount[]> {
    const { layout, clusterDomain } = this.#options;
    const uid = uidOf(pod);
    const texts = {
      hosts: pod.spec.hostNetwork
        ? hostNetworkHostsFile(pod, await fs.readFile('/etc/hosts', 'utf8').catch(() => ''))
        : hostsFile(pod, podIPs, clusterDomain),
      hostname: `${this.#hostname(pod)}\n`,
      'resolv.conf': resolverFile(pod, await this.#dns()).text,
    };
    await fs.mkdir(layout.small(uid), { recursive: true, mode: 0o755 });
    await Promise.all(ETC_FILES.map((name) => writeIfChanged(layout.file(uid, name), texts[name])));
    const access = container.securityContext?.readOnlyRootFilesystem ? 'ro' : 'rw';
    const taken = new Set((container.volumeMounts ?? []).map((m) => m.mountPath.replace(/\/+$/, '')));
    return ETC_FILES.filter((name) => !taken.has(`/etc/${name}`)).map((name) => ({
      destination: `/etc/${name}`,
      type: 'bind',
      source: layout.file(uid, name),
      options: ['rbind', 'rprivate', access],
    }));
  }

  async #terminationMount(container: Container, source: string): Promise<OciMount> {
    await fs.mkdir(dirname(source), { recursive: true, mode: 0o755 });
    await fs.writeFile(source, '');
    // Any user of the container may leave a message.
    await fs.chmod(source, 0o666);
    const destination = container.terminationMessagePath ?? '/dev/termination-log';
    return { destination, type: 'bind', source, options: ['rbind', 'rprivate', 'rw'] };
  }

  /** A file system of its own: it is full when it has what Kubernetes gives a pod, whatever else is in memory. */
  async #makeShm(pod: Pod): Promise<void> {
    const { layout, mounts } = this.#options;
    const shm = layout.shm(uidOf(pod));
    if (!shm || pod.spec.hostIPC) return;
    await fs.mkdir(shm, { recursive: true });
    if (mounts) await mounts.mount(shm, 'tmpfs', [`size=${SHM_BYTES}`, 'mode=1777']);
    else await fs.chmod(shm, 0o1777);
  }

  async #dns(): Promise<DnsFacts> {
    const { clusterDns, clusterDomain } = this.#options;
    const nodeResolvConf = await fs.readFile('/etc/resolv.conf', 'utf8').catch(() => '');
    return { clusterDns, clusterDomain, nodeResolvConf };
  }
}

/** Other containers of the pod may be reading the file: one that is right is not touched. */
async function writeIfChanged(path: string, text: string): Promise<void> {
  const present = await fs.readFile(path, 'utf8').catch(() => undefined);
  if (present !== text) await fs.writeFile(path, text);
}

async function readStart(path: string, bytes: number): Promise<string> {
  const handle = await fs.open(path, 'r').catch(() => undefined);
  if (!handle) return '';
  try {
    const { bytesRead, buffer } = await handle.read(Buffer.alloc(bytes), 0, bytes, 0);
    return buffer.toString('utf8', 0, bytesRead);
  } finally {
    await handle.close();
  }
}
