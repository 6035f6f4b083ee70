import { join } from 'node:path';
import { ALL_CAPABILITIES } from '../../container/security.js';
import type { OciMount, OciSpec } from '../oci.js';
import type { ContainerConfig } from '../runtime.js';
import { callOf, type OciHandler } from './handler.js';

/** Where a container's bundle is, below the directory the kubelet gives each start. */
export interface Bundle {
  readonly directory: string;
  readonly config: string;
  readonly rootfs: string;
  readonly upper: string;
  readonly work: string;
  /** Volumes, one entry a mount, bound there before the runtime is started. */
  readonly mounts: string;
  /** What the runtime itself has to say, apart from its container's output. */
  readonly log: string;
  readonly pidFile: string;
}

export function bundleAt(directory: string): Bundle {
  const of = (name: string) => join(directory, name);
  return {
    directory,
    config: of('config.json'),
    rootfs: of('rootfs'),
    upper: of('upper'),
    work: of('work'),
    mounts: of('mounts'),
    log: of('runtime.log'),
    pidFile: of('pid'),
  };
}

/** The oldest version that says all we use: Debian's runtimes refuse versions they have not heard of. */
const VERSION = '1.0.2';

interface PlacedMount extends OciMount {
  /** Where the mount's source is put for the runtime; only bind mounts have one. */
  readonly place?: string;
}

function placed(spec: OciSpec, bundle: Bundle): readonly PlacedMount[] {
  return spec.mounts.map((mount, index) =>
    mount.type === 'bind' && mount.source ? { ...mount, place: join(bundle.mounts, String(index)) } : mount,
  );
}

/**
 * The configuration the runtime is given: what the kubelet asks for, less the namespaces and limits that the pod's process
 * has made already, and with the default seccomp profile written out. Pure.
 */
export function bundleSpec(spec: OciSpec, bundle: Bundle, handler: OciHandler, seccomp: object | undefined): object {
  const own = handler.cgroups === 'own';
  const { cgroupsPath: _, resources, seccomp: __, ...linux } = spec.linux;
  const devices = (resources as { readonly devices?: readonly object[] } | undefined)?.devices;
  return {
    ...spec,
    ociVersion: VERSION,
    root: { ...spec.root, path: bundle.rootfs },
    mounts: placed(spec, bundle).flatMap(({ place, ...mount }) => {
      // Without a group of its own there is none to show.
      if (mount.type === 'cgroup' && !own) return [];
      return [place ? { ...mount, source: place } : mount];
    }),
    linux: {
      ...linux,
      namespaces: spec.linux.namespaces.filter(({ type }) =>
        ['mount', 'pid', ...(own ? ['cgroup'] : [])].includes(type),
      ),
      ...(own ? { resources: { devices: devices ?? [{ allow: false, access: 'rwm' }] } } : {}),
      ...(seccomp ? { seccomp } : {}),
    },
  };
}

/** Runtimes give a process's standard streams to its user: the node's own /dev/null is not to be given away. */
const BECOME = ['if [ /proc/self/fd/0 -ef /dev/null ]; then exec 0<<NOTHING', 'NOTHING', 'fi', 'exec "$@"'].join('\n');

/** A command of the runtime, as a command that may be run beside it. */
export const beside = (command: readonly string[]): readonly string[] => ['/bin/sh', '-c', BECOME, 'sh', ...command];

/**
 * Mounts the root file system where the runtime expects it, then becomes the runtime. A cgroup v2 tree beside v1 is taken out of
 * its sight: runtimes refuse such machines, or put containers where nobody looks.
 */
const SCRIPT = [
  'set -e',
  'while read -r _ at type _; do',
  'case "$type:$at" in cgroup2:/sys/fs/cgroup) ;; cgroup2:*) umount -l "$at" ;; esac',
  'done < /proc/self/mounts',
  'mount -t overlay overlay -o "$1" "$2"',
  'shift 2',
  BECOME,
].join('\n');

/** The tun device: runc lets every container have it, and cannot do so where its parent may not. */
const TUN = { allow: true, type: 'c', major: 10, minor: 200, access: 'rwm' };

/**
 * The process of the pod that runs the runtime in its foreground: it sees the node as it is, in the pod's network and the
 * container's groups, and its exit, output and terminal are the container's. Pure.
 */
export function wrapper(
  config: ContainerConfig,
  bundle: Bundle,
  handler: OciHandler,
  stateDir: string,
): ContainerConfig {
  const { spec } = config;
  const overlay = `lowerdir=${config.layers.join(':')},upperdir=${bundle.upper},workdir=${bundle.work}`;
  const run = ['--log', bundle.log, 'run', '--bundle', bundle.directory, '--pid-file', bundle.pidFile, config.id];
  const [program, ...words] = callOf(handler, stateDir);
  const resources = spec.linux.resources as { readonly devices?: readonly object[] } | undefined;
  const devices = handler.cgroups === 'own' ? [...(resources?.devices ?? []), TUN] : resources?.devices;
  const capabilities = { bounding: ALL_CAPABILITIES, effective: ALL_CAPABILITIES, permitted: ALL_CAPABILITIES };
  return {
    ...config,
    layers: [],
    spec: {
      ociVersion: spec.ociVersion,
      process: {
        ...(spec.process.terminal ? { terminal: true } : {}),
        user: { uid: 0, gid: 0 },
        args: ['/bin/sh', '-c', SCRIPT, 'sh', overlay, bundle.rootfs, program!, ...words, ...run],
        env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'],
        cwd: '/',
        capabilities: { ...capabilities, inheritable: [], ambient: [] },
        ...(spec.process.oomScoreAdj === undefined ? {} : { oomScoreAdj: spec.process.oomScoreAdj }),
      },
      root: { path: '/' },
      mounts: placed(spec, bundle).flatMap(({ place, source = '', options = [] }) =>
        place
          ? [
              {
                destination: place,
                type: 'bind',
                source,
                options: options.filter((o) => /^r?(bind|private|slave|shared)$/.test(o)),
              },
            ]
          : [],
      ),
      linux: {
        namespaces: [
          { type: 'mount' },
          ...(['network', 'ipc', 'uts'] as const).flatMap((type) =>
            spec.linux.namespaces.some((n) => n.type === type) ? [{ type }] : [],
          ),
        ],
        ...(spec.linux.cgroupsPath ? { cgroupsPath: spec.linux.cgroupsPath } : {}),
        resources: { ...resources, ...(devices ? { devices } : {}) },
        ...(spec.linux.rootfsPropagation ? { rootfsPropagation: spec.linux.rootfsPropagation } : {}),
      },
    },
  };
}
