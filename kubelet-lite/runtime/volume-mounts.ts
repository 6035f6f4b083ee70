import type { OciIdMapping } from './oci.js';

/** Ids inside a user namespace, and what they are on the node. */
export interface IdMaps {
  readonly uidMappings: readonly OciIdMapping[];
  readonly gidMappings: readonly OciIdMapping[];
}

/** File systems of their own for volumes, mounted on the node. Every method may be repeated. */
export interface VolumeMounts {
  /**
   * Mounts on an absolute, existing directory with no link on the way, and answers the path under which this process finds it
   * (which differs from the one given where the runtime lives in another mount namespace). What is mounted there stays as it is.
   */
  mount(
    path: string,
    type: 'tmpfs' | 'hugetlbfs' | 'overlay',
    options: readonly string[],
    /** Of an overlay: as whose its files are seen. */
    ids?: IdMaps,
  ): Promise<string>;
  /** No error when nothing is mounted there. */
  unmount(path: string): Promise<void>;
  /** Mount points below a directory, inner ones first. */
  below(directory: string): Promise<readonly string[]>;
}
