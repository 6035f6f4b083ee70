/**
 * The part of the OCI runtime specification's `config.json` (1.2) that the kubelet writes. The isolation core accepts the
 * whole Linux part; unknown members are passed through.
 */
export interface OciSpec {
  readonly ociVersion: string;
  readonly process: OciProcess;
  readonly root: { readonly path?: string; readonly readonly?: boolean };
  readonly hostname?: string;
  readonly mounts: readonly OciMount[];
  readonly linux: OciLinux;
  readonly annotations?: Readonly<Record<string, string>>;
}

export interface OciProcess {
  readonly terminal?: boolean;
  readonly consoleSize?: { readonly height: number; readonly width: number };
  /** `username` is resolved by the kubelet beforehand; only numbers reach the runtime. */
  readonly user: {
    readonly uid: number;
    readonly gid: number;
    readonly umask?: number;
    readonly additionalGids?: readonly number[];
  };
  readonly args: readonly string[];
  readonly env: readonly string[];
  readonly cwd: string;
  readonly capabilities?: {
    readonly bounding: readonly string[];
    readonly effective: readonly string[];
    readonly permitted: readonly string[];
    readonly inheritable: readonly string[];
    readonly ambient: readonly string[];
  };
  readonly rlimits?: readonly { readonly type: string; readonly soft: number; readonly hard: number }[];
  readonly noNewPrivileges?: boolean;
  readonly oomScoreAdj?: number;
}

export interface OciMount {
  readonly destination: string;
  readonly type?: string;
  readonly source?: string;
  readonly options?: readonly string[];
  /** With option `idmap` and none of these the ids of the container's user namespace are meant. */
  readonly uidMappings?: readonly OciIdMapping[];
  readonly gidMappings?: readonly OciIdMapping[];
}

export interface OciLinux {
  readonly namespaces: readonly {
    readonly type: 'pid' | 'network' | 'mount' | 'ipc' | 'uts' | 'cgroup' | 'user' | 'time';
    readonly path?: string;
  }[];
  readonly uidMappings?: readonly OciIdMapping[];
  readonly gidMappings?: readonly OciIdMapping[];
  readonly timeOffsets?: Readonly<Record<string, { readonly secs?: number; readonly nanosecs?: number }>>;
  readonly devices?: readonly object[];
  readonly cgroupsPath?: string;
  readonly resources?: object;
  readonly sysctl?: Readonly<Record<string, string>>;
  readonly seccomp?: object;
  readonly maskedPaths?: readonly string[];
  readonly readonlyPaths?: readonly string[];
  readonly rootfsPropagation?: string;
}

export interface OciIdMapping {
  readonly containerID: number;
  readonly hostID: number;
  readonly size: number;
}
