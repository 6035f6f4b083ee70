/** CNI 1.1.0 (containernetworking/cni, SPEC.md): configuration, results and errors. */

export const CNI_VERSION = '1.1.0';
export const SUPPORTED_VERSIONS = ['0.4.0', '1.0.0', '1.1.0'] as const;

export interface PluginConfig {
  readonly type: string;
  readonly capabilities?: Readonly<Record<string, boolean>>;
  readonly ipam?: { readonly type?: string; readonly [key: string]: unknown };
  readonly [key: string]: unknown;
}

export interface NetworkConfigList {
  readonly cniVersion: string;
  readonly name: string;
  readonly disableCheck: boolean;
  readonly disableGC: boolean;
  readonly plugins: readonly PluginConfig[];
}

export interface CniResult {
  readonly cniVersion: string;
  readonly interfaces?: readonly {
    readonly name: string;
    readonly mac?: string;
    readonly mtu?: number;
    readonly sandbox?: string;
  }[];
  readonly ips?: readonly { readonly address: string; readonly gateway?: string; readonly interface?: number }[];
  readonly routes?: readonly { readonly dst: string; readonly gw?: string }[];
  readonly dns?: Readonly<Record<string, unknown>>;
}

export interface PortMapping {
  readonly hostPort: number;
  readonly containerPort: number;
  readonly protocol: string;
  readonly hostIP?: string;
}

/** What one verb is called with; the same for every plugin of a chain. */
export interface Invocation {
  readonly containerId: string;
  /** Empty when the namespace is gone. */
  readonly netns: string;
  readonly ifName: string;
  /** CNI_ARGS, e.g. K8S_POD_NAME. */
  readonly args: Readonly<Record<string, string>>;
  /** Capability arguments; a plugin gets those it has declared. */
  readonly runtimeConfig: { readonly portMappings?: readonly PortMapping[] };
}

/** One plugin's configuration as the specification derives it: name and version of the list, runtimeConfig, prevResult. */
export interface PluginInput extends PluginConfig {
  readonly name: string;
  readonly cniVersion: string;
  readonly runtimeConfig?: { readonly portMappings?: readonly PortMapping[] };
  readonly prevResult?: CniResult;
}

export interface ValidAttachment {
  readonly containerID: string;
  readonly ifname: string;
}

/** A plugin, called in process or run as a program. Each rejects with a {@link CniError}. */
export interface Plugin {
  add(config: PluginInput, call: Invocation): Promise<CniResult>;
  del(config: PluginInput, call: Invocation): Promise<void>;
  check(config: PluginInput, call: Invocation): Promise<void>;
  status(config: PluginInput): Promise<void>;
  gc(config: PluginInput, valid: readonly ValidAttachment[]): Promise<void>;
  version(): Promise<readonly string[]>;
}

/** Codes: 1 version, 2 unsupported field, 3 unknown container, 4 environment, 5 I/O, 6 decode, 7 configuration, 11 try again, 50 and 51 not available, 100 and up a plugin's own. */
export class CniError extends Error {
  constructor(
    readonly code: number,
    readonly msg: string,
    readonly details = '',
  ) {
    super(details ? `${msg}: ${details}` : msg);
    this.name = 'CniError';
  }
}
