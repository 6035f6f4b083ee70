import type { Container } from '@trimtab/machinery';
import type { ImageConfig } from '../images/image-store.js';
import type { Pod } from '../pod/api.js';
import { oomScoreAdj } from '../pod/qos.js';
import type { OciMount, OciSpec } from '../runtime/oci.js';
import { containerResources } from './cgroup.js';
import { ContainerConfigError } from './container-files.js';
import { expand } from './expansion.js';
import { capabilitiesOf, MASKED_PATHS, noNewPrivileges, READONLY_PATHS, seccompOf } from './security.js';
import type { ResolvedUser } from './user.js';
import type { PodIdMaps } from './user-namespaces.js';

export interface OciSpecInput {
  readonly pod: Pod;
  readonly container: Container;
  readonly image: ImageConfig;
  /** The container's own environment; the image's comes below it. */
  readonly env: ReadonlyMap<string, string>;
  readonly user: ResolvedUser;
  /** Complete and in order. */
  readonly mounts: readonly OciMount[];
  /** Of the pod's user namespace, where it has one. */
  readonly idMaps?: PodIdMaps;
  readonly hostname: string;
  readonly cgroupsPath: string;
  readonly nodeMemoryBytes: number;
  /** A profile of the node's own, for who asks for one. */
  readonly seccomp?: object;
  /** Whose PID namespace is joined instead of having one. */
  readonly targetPid?: number;
}

/** A pod's container as the OCI runtime specification writes it. Pure: everything read has been read before. */
export function ociSpec(input: OciSpecInput): OciSpec {
  const { pod, container, image, user } = input;
  const { spec } = pod;
  const context = container.securityContext ?? {};
  const capabilities = capabilitiesOf(container);
  const root = user.uid === 0;
  const seccomp = input.seccomp ?? seccompOf(spec, container);
  const unmasked = context.privileged === true || context.procMount === 'Unmasked';
  return {
    ociVersion: '1.2.0',
    process: {
      terminal: container.tty ?? false,
      user: { uid: user.uid, gid: user.gid, additionalGids: user.additionalGids },
      args: argsOf(container, image, input.env),
      env: environment(input),
      cwd: container.workingDir || image.WorkingDir || '/',
      capabilities: {
        bounding: capabilities,
        permitted: root ? capabilities : [],
        effective: root ? capabilities : [],
        inheritable: [],
        ambient: [],
      },
      noNewPrivileges: noNewPrivileges(container),
      oomScoreAdj: oomScoreAdj(spec, container, input.nodeMemoryBytes),
    },
    root: { readonly: context.readOnlyRootFilesystem ?? false },
    mounts: input.mounts,
    linux: {
      namespaces: [
        { type: 'mount' },
        { type: 'cgroup' },
        ...(input.idMaps ? [{ type: 'user' as const }] : []),
        ...(spec.hostPID ? [] : [pidNamespace(input.targetPid)]),
        ...(spec.hostIPC ? [] : [{ type: 'ipc' as const }]),
        ...(spec.hostNetwork ? [] : [{ type: 'network' as const }, { type: 'uts' as const }]),
      ],
      ...input.idMaps,
      cgroupsPath: input.cgroupsPath,
      resources: containerResources(container, pod.spec),
      ...(seccomp ? { seccomp } : {}),
      maskedPaths: unmasked ? [] : MASKED_PATHS,
      readonlyPaths: unmasked ? [] : READONLY_PATHS,
      ...propagationOf(input.mounts),
    },
  };
}

/** What is set for the root reaches every mount below it: never less than the widest of them asks for. */
function propagationOf(mounts: readonly OciMount[]): { readonly rootfsPropagation?: string } {
  const asked = mounts.flatMap(({ options = [] }) => options);
  const widest = ['rshared', 'rslave'].find((propagation) => asked.includes(propagation));
  return widest ? { rootfsPropagation: widest } : {};
}

const pidNamespace = (target: number | undefined) =>
  target === undefined ? ({ type: 'pid' } as const) : ({ type: 'pid', path: `/proc/${target}/ns/pid` } as const);

/** `command` replaces the image's entrypoint and its default arguments, `args` only the arguments. */
export function argsOf(container: Container, image: ImageConfig, env: ReadonlyMap<string, string>): readonly string[] {
  const lookup = (name: string) => env.get(name);
  const all = (list: readonly string[] | undefined) => list?.map((text) => expand(text, lookup));
  const command = container.command?.length ? all(container.command) : undefined;
  const args = container.args?.length ? all(container.args) : undefined;
  const result = [...(command ?? image.Entrypoint ?? []), ...(args ?? (command ? [] : (image.Cmd ?? [])))];
  if (result.length === 0) {
    const message = `no command specified: neither container "${container.name}" nor its image "${container.image}" has one`;
    throw new ContainerConfigError('CreateContainerError', message);
  }
  return result;
}

const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

function environment({ container, image, env, hostname, user }: OciSpecInput): readonly string[] {
  const merged = new Map<string, string>([
    ['PATH', DEFAULT_PATH],
    ['HOSTNAME', hostname],
    ...(container.tty ? [['TERM', 'xterm'] as const] : []),
  ]);
  for (const entry of image.Env ?? []) {
    const at = entry.indexOf('=');
    if (at > 0) merged.set(entry.slice(0, at), entry.slice(at + 1));
  }
  for (const [name, value] of env) merged.set(name, value);
  if (!merged.has('HOME')) merged.set('HOME', user.home || '/');
  return [...merged].map(([name, value]) => `${name}=${value}`);
}
