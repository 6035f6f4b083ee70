import { type Container, type LifecycleHandler, type Probe, remembering } from '@trimtab/machinery';
import {
  ANNOTATION,
  type ContainerFiles,
  type ContainerRequest,
  type PreparedContainer,
} from '../container/container-files.js';
import type { Image, ImageStore } from '../images/image-store.js';
import type { PodAttachment, PodNetwork, PodNetworkStatus } from '../node/pod-network.js';
import type { SavedAllocation } from '../pod/allocation.js';
import type { Pod } from '../pod/api.js';
import { uidOf } from '../pod/api.js';
import type { ProbeOutcome, Prober, ProbeTarget } from '../probes/prober.js';
import type { SandboxConfig } from '../runtime/runtime.js';
import type { VolumeManager } from '../volumes/volume-manager.js';
import { type Lifecycles, NO_LIFECYCLES } from './lifecycle.js';
import { type ScriptedRuntime, scriptOf } from './scripted-runtime.js';

/** Addresses from one /16 a process, handed out in turn and taken back on detach. */
export class SimulatedNetwork implements PodNetwork {
  readonly #given = new Map<string, string>();
  readonly #free: string[] = [];
  readonly #prefix: string;
  #next = 0;

  /** `prefix`: the first octet, `100` gives 100.64.0.0 upwards. */
  constructor(prefix = '100') {
    this.#prefix = prefix;
  }

  async add(attachment: PodAttachment): Promise<PodNetworkStatus> {
    const ip = this.#given.get(attachment.sandboxId) ?? this.#free.pop() ?? this.#fresh();
    this.#given.set(attachment.sandboxId, ip);
    return { ips: [ip] };
  }

  async del(attachment: PodAttachment): Promise<void> {
    const ip = this.#given.get(attachment.sandboxId);
    if (ip === undefined) return;
    this.#given.delete(attachment.sandboxId);
    this.#free.push(ip);
  }

  async gc(): Promise<void> {}

  async status(): Promise<void> {}

  #fresh(): string {
    const n = ++this.#next;
    return `${this.#prefix}.${64 + ((n >> 16) & 0x3f)}.${(n >> 8) & 0xff}.${n & 0xff}`;
  }
}

/** Every image is present and empty. */
export class SimulatedImages implements ImageStore {
  async find(reference: string): Promise<Image> {
    return { id: 'sha256:0', tags: [reference], digests: [], size: 0, layers: [], config: {} };
  }

  pull(reference: string): Promise<Image> {
    return this.find(reference);
  }

  async load(): Promise<readonly Image[]> {
    return [];
  }

  async list(): Promise<readonly Image[]> {
    return [];
  }

  async remove(): Promise<boolean> {
    return false;
  }
}

/** Volumes that are always there and never hold anything. */
export class SimulatedVolumes implements VolumeManager {
  async setUp(): Promise<void> {}
  updated(): void {}
  pathOf(_pod: Pod, volume: string): string {
    return `/simulated/${volume}`;
  }
  async tearDown(): Promise<void> {}
  async tidy(): Promise<void> {}
  onChange(): void {}
}

/** Hooks and probes succeed at once, but for a readiness probe of what is scripted not to be ready. */
export class SimulatedProber implements Prober {
  readonly #runtime: Pick<ScriptedRuntime, 'isReady'>;

  constructor(runtime: Pick<ScriptedRuntime, 'isReady'> = { isReady: () => true }) {
    this.#runtime = runtime;
  }

  async probe(probe: Probe, { container, containerId }: ProbeTarget): Promise<ProbeOutcome> {
    if (probe !== container.readinessProbe || this.#runtime.isReady(containerId))
      return { result: 'success', output: '' };
    return { result: 'failure', output: 'scripted not to be ready' };
  }
  async hook(_handler: LifecycleHandler, _target: ProbeTarget, _budgetMs: number): Promise<ProbeOutcome> {
    return { result: 'success', output: '' };
  }
}

/** One text for all pods of a template. */
const resourcesText = remembering((container: Container) => JSON.stringify(container.resources ?? {}));

/** Describes containers to the simulated runtime without touching a file. */
export class SimulatedFiles implements ContainerFiles {
  readonly #lifecycles: Lifecycles;
  readonly #allocations = new Map<string, SavedAllocation>();

  constructor(lifecycles: Lifecycles = NO_LIFECYCLES) {
    this.#lifecycles = lifecycles;
  }

  async sandbox(pod: Pod): Promise<SandboxConfig> {
    return {
      id: uidOf(pod),
      namespace: pod.metadata.namespace ?? '',
      name: pod.metadata.name ?? '',
      hostname: pod.metadata.name ?? '',
      hostNetwork: pod.spec.hostNetwork ?? false,
      hostPid: false,
      hostIpc: false,
      sharePid: false,
      sysctls: {},
      cgroupPath: '',
      resources: {},
      directory: '',
      annotations: {
        [ANNOTATION.podName]: pod.metadata.name ?? '',
        [ANNOTATION.podNamespace]: pod.metadata.namespace ?? '',
        [ANNOTATION.podUid]: uidOf(pod),
      },
    };
  }

  async prepare({ pod, container, attempt, image }: ContainerRequest): Promise<PreparedContainer> {
    const args = [...(container.command ?? []), ...(container.args ?? [])];
    return {
      config: {
        id: `${uidOf(pod)}-${container.name}-${attempt}`,
        name: container.name,
        spec: {
          ociVersion: '1.2.0',
          process: { user: { uid: 0, gid: 0 }, args, env: [], cwd: '/' },
          root: {},
          mounts: [],
          linux: { namespaces: [] },
        },
        layers: [],
        directory: '',
        logPath: '',
        stdin: false,
        stdinOnce: false,
        tty: false,
        annotations: {
          [ANNOTATION.container]: container.name,
          [ANNOTATION.attempt]: String(attempt),
          [ANNOTATION.image]: image.tags[0] ?? '',
          [ANNOTATION.imageID]: image.id,
          [ANNOTATION.definedImage]: container.image ?? '',
          [ANNOTATION.resources]: resourcesText(container),
          ...scriptOf(pod, container.name, this.#lifecycles),
        },
      },
      release: async () => {},
    };
  }

  async terminationMessage(_pod: Pod, _container: Container): Promise<string> {
    return '';
  }
  async forgetAttempts(): Promise<void> {}
  async saveAllocation(pod: Pod, saved: SavedAllocation): Promise<void> {
    this.#allocations.set(uidOf(pod), saved);
  }
  async allocations(): Promise<ReadonlyMap<string, SavedAllocation>> {
    return this.#allocations;
  }
  async removePod(uid: string): Promise<void> {
    this.#allocations.delete(uid);
  }
  async tidy(): Promise<void> {}
  async removeLogs(): Promise<void> {}
}
