import type { Duplex } from 'node:stream';
import type { ProcessStreams } from '@trimtab/client';
import type { Observable } from 'rxjs';
import type { OciIdMapping, OciSpec } from './oci.js';
import type { VolumeMounts } from './volume-mounts.js';

/**
 * What the kubelet needs of whatever runs pods: the native isolation core, or a runtime that runs nothing (simulated).
 * Every method is idempotent: repeating one whose answer was lost gives the same result. A failure is a
 * {@link RuntimeError}, carried unchanged to the event a user reads.
 */
export interface PodRuntime {
  /** Everything that lives now, including what an earlier kubelet started: the basis of adoption. */
  list(): Promise<readonly SandboxStatus[]>;
  /** Starts the pod's network container: the process that holds the shared namespaces. */
  runSandbox(config: SandboxConfig): Promise<SandboxStatus>;
  /** Kills all processes of the pod, frees its namespaces, cgroups and mounts. No error when it is already gone. */
  removeSandbox(sandboxId: string): Promise<void>;
  /** Creates and starts; resolves once `execve` of the container's process has succeeded. */
  startContainer(sandboxId: string, config: ContainerConfig): Promise<ContainerStatus>;
  /** Sends a signal to the container's first process; no error when it has already exited. */
  signal(containerId: string, signal: string): Promise<void>;
  /** Frees an exited (or kills a running) container's root file system and cgroup; its log stays. */
  removeContainer(containerId: string): Promise<void>;
  /** Changes limits of a whole pod (OCI `linux.resources`); what is not named stays. */
  updateSandbox(sandboxId: string, resources: object): Promise<void>;
  /** Changes limits of a running container (OCI `linux.resources`); what is not named stays. */
  updateContainer(containerId: string, resources: object): Promise<void>;
  exec(containerId: string, config: ExecConfig): Promise<ProcessStreams>;
  /** Runs a command to its end with bounded output (for probes and hooks); rejects with code `Timeout` when late. */
  execSync(containerId: string, config: ExecSyncConfig): Promise<ExecResult>;
  attach(containerId: string): Promise<ProcessStreams>;
  /** Asks the log pump to reopen the file after a rotation. */
  reopenLog(containerId: string): Promise<void>;
  /** A byte stream to `host:port` dialled inside the sandbox's network namespace. */
  dial(sandboxId: string, host: string, port: number): Promise<Duplex>;
  stats(sandboxId: string): Promise<SandboxStats>;
  /** Absent: volumes are directories, and what needs a file system of its own is refused. */
  readonly volumeMounts?: VolumeMounts;
  /** Exits and sandbox deaths, each exactly once per kubelet life; those that happened in between come from `list`. */
  readonly events: Observable<RuntimeEvent>;
}

/** The annotation of a sandbox that tells by which handler it was made. */
export const HANDLER_ANNOTATION = 'io.trimtab.sandbox.handler';

export interface SandboxConfig {
  /** The pod's UID; ids are stable across kubelet restarts. */
  readonly id: string;
  readonly namespace: string;
  readonly name: string;
  readonly hostname: string;
  /** Share the node's namespace instead of a new one. */
  readonly hostNetwork: boolean;
  readonly hostPid: boolean;
  readonly hostIpc: boolean;
  /** All containers in one PID namespace whose first process is the network container. */
  readonly sharePid: boolean;
  /** User namespace of all its containers (`hostUsers: false`); absent: the node's ids. */
  readonly userNamespace?: {
    readonly uidMappings: readonly OciIdMapping[];
    readonly gidMappings: readonly OciIdMapping[];
  };
  readonly sysctls: Readonly<Record<string, string>>;
  /** Path below the cgroup root, e.g. `kubepods/burstable/pod<uid>`. */
  readonly cgroupPath: string;
  /** OCI `linux.resources` of the pod's cgroup. */
  readonly resources: object;
  /** Directory for the sandbox's own files (socket, state); made by the runtime when missing, survives the kubelet. */
  readonly directory: string;
  /** The handler that the pod's RuntimeClass names; the native core where there is none. */
  readonly runtimeHandler?: string;
  /** Kept by the runtime and given back by `list`. */
  readonly annotations: Readonly<Record<string, string>>;
}

export interface ContainerConfig {
  /** Unique per start: `<podUID>-<container name>-<attempt>`. */
  readonly id: string;
  readonly name: string;
  /** OCI runtime configuration; `linux.namespaces` name the sandbox's namespaces as `{type}` joined by the runtime. */
  readonly spec: OciSpec;
  /** Lower directories of the root overlay, topmost first. */
  readonly layers: readonly string[];
  /** Directory the runtime may use for the writable layer; removed with the container. */
  readonly directory: string;
  readonly logPath: string;
  readonly stdin: boolean;
  readonly stdinOnce: boolean;
  readonly tty: boolean;
  readonly annotations: Readonly<Record<string, string>>;
}

export interface ExecConfig {
  readonly command: readonly string[];
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
  readonly tty: boolean;
}

export interface ExecSyncConfig {
  readonly command: readonly string[];
  readonly timeoutMs: number;
  /** Bytes of stdout and stderr kept; the rest is dropped. */
  readonly maxOutput: number;
}

export interface ExecResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface SandboxStatus {
  readonly id: string;
  readonly state: 'ready' | 'dead';
  /** Process id of the network container in the node's PID namespace. */
  readonly pid: number;
  /** A path that opens the pod's network namespace; empty with hostNetwork. */
  readonly netns: string;
  readonly createdAt: number;
  readonly annotations: Readonly<Record<string, string>>;
  readonly containers: readonly ContainerStatus[];
}

export interface ContainerStatus {
  readonly id: string;
  readonly name: string;
  readonly state: 'running' | 'exited';
  readonly pid: number;
  /** Milliseconds since the epoch. */
  readonly startedAt: number;
  readonly finishedAt?: number;
  readonly exitCode?: number;
  /** The signal that ended it, 0 when it exited by itself. */
  readonly signal?: number;
  readonly oomKilled?: boolean;
  readonly logPath: string;
  readonly annotations: Readonly<Record<string, string>>;
}

export type RuntimeEvent =
  | { readonly type: 'containerExited'; readonly sandboxId: string; readonly container: ContainerStatus }
  | { readonly type: 'sandboxDied'; readonly sandboxId: string };

export interface SandboxStats {
  readonly cpuNanos: number;
  readonly memoryBytes: number;
  readonly containers: Readonly<Record<string, { readonly cpuNanos: number; readonly memoryBytes: number }>>;
}

/** `stage` says where it failed (`rootfs`, `exec`, `cgroup`…), `errno` how, `object` on what. */
export class RuntimeError extends Error {
  constructor(
    readonly stage: string,
    readonly errno: string,
    readonly object: string,
    message = `${stage}: ${object}: ${errno}`,
  ) {
    super(message);
    this.name = 'RuntimeError';
  }
}
