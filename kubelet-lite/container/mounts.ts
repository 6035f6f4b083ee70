import type { Volume, VolumeMount } from '@trimtab/machinery';
import type { OciMount } from '../runtime/oci.js';
import { isPayloadVolume } from '../volumes/payload.js';
import { ContainerConfigError } from './container-files.js';
import { expand, undefinedReferences } from './expansion.js';

/** What a mount of a volume needs to know: where its content is on the node. */
export interface MountSource {
  readonly mount: VolumeMount;
  readonly volume: Volume | undefined;
  /** The path to bind, pinned against being exchanged while the container starts. */
  readonly source: string;
  /** It shows the ids of the pod's user namespace as it is. */
  readonly mapped?: boolean;
}

/** The mounts every container has, as container engines agree on them. `shm` binds the pod's shared memory where there is one. */
export function defaultMounts(options: { readonly privileged: boolean; readonly shm?: string }): readonly OciMount[] {
  const sysfs = options.privileged ? 'rw' : 'ro';
  return [
    { destination: '/proc', type: 'proc', source: 'proc', options: ['nosuid', 'noexec', 'nodev'] },
    {
      destination: '/dev',
      type: 'tmpfs',
      source: 'tmpfs',
      options: ['nosuid', 'strictatime', 'mode=755', 'size=65536k'],
    },
    {
      destination: '/dev/pts',
      type: 'devpts',
      source: 'devpts',
      options: ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620', 'gid=5'],
    },
    { destination: '/dev/mqueue', type: 'mqueue', source: 'mqueue', options: ['nosuid', 'noexec', 'nodev'] },
    { destination: '/sys', type: 'sysfs', source: 'sysfs', options: ['nosuid', 'noexec', 'nodev', sysfs] },
    {
      destination: '/sys/fs/cgroup',
      type: 'cgroup',
      source: 'cgroup',
      options: ['nosuid', 'noexec', 'nodev', 'relatime', sysfs],
    },
    options.shm
      ? { destination: '/dev/shm', type: 'bind', source: options.shm, options: ['rbind', 'nosuid', 'noexec', 'nodev'] }
      : {
          destination: '/dev/shm',
          type: 'tmpfs',
          source: 'shm',
          options: ['nosuid', 'noexec', 'nodev', 'mode=1777', 'size=65536k'],
        },
  ];
}

const PROPAGATION: Readonly<Record<string, string>> = {
  None: 'rprivate',
  HostToContainer: 'rslave',
  Bidirectional: 'rshared',
};

/** The container's own mounts, outer paths before inner ones; `mapIds`: for a pod with a user namespace. */
export function volumeMounts(sources: readonly MountSource[], mapIds = false): readonly OciMount[] {
  const depth = (m: MountSource) => m.mount.mountPath.split('/').filter(Boolean).length;
  return [...sources]
    .sort((a, b) => depth(a) - depth(b))
    .map(({ mount, volume, source, mapped }) => ({
      destination: absolute(mount.mountPath),
      type: 'bind',
      source,
      options: [
        'rbind',
        PROPAGATION[mount.mountPropagation ?? 'None'] ?? 'rprivate',
        ...access(mount, volume),
        ...(mapIds && !mapped ? ['idmap'] : []),
      ],
    }));
}

/**
 * An image's files are shown, neither run nor changed. What the kubelet writes as root is never the container's to change,
 * whatever its mount says: a link planted where the next version goes would lead that write anywhere on the node
 * (CVE-2017-1002102).
 */
function access(mount: VolumeMount, volume: Volume | undefined): readonly string[] {
  if (volume?.image) return ['ro', 'noexec'];
  const ours = volume !== undefined && isPayloadVolume(volume);
  if (!mount.readOnly && !ours) return ['rw'];
  return [mount.recursiveReadOnly === 'Enabled' || mount.recursiveReadOnly === 'IfPossible' ? 'rro' : 'ro'];
}

const refused = (message: string) => new ContainerConfigError('CreateContainerConfigError', message);

const absolute = (path: string): string => (path.startsWith('/') ? path : `/${path}`);

/** The path below its volume that a mount shows; empty for all of it. Throws where an expression names an unset variable. */
export function subPathOf(mount: VolumeMount, env: ReadonlyMap<string, string>): string {
  // What is empty is missing: else a path would quietly be another one.
  const lookup = (name: string) => env.get(name) || undefined;
  const missing = undefinedReferences(mount.subPathExpr ?? '', lookup);
  if (missing.length > 0) {
    const message = `subPathExpr "${mount.subPathExpr}" of volume "${mount.name}": missing value for ${missing.join(', ')}`;
    throw refused(message);
  }
  const path = mount.subPathExpr ? expand(mount.subPathExpr, lookup) : (mount.subPath ?? '');
  if (path.startsWith('/')) throw refused(`error SubPath \`${path}\` must not be an absolute path`);
  if (path.split('/').includes('..')) throw refused(`unable to provision SubPath \`${path}\`: must not contain '..'`);
  return path;
}
