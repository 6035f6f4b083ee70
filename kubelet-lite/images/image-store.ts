import type { CredentialEntries } from './registry/credentials.js';

/**
 * Images as the kubelet needs them: content-addressed, unpacked layers ready to be the lower directories of an overlay.
 */
export interface ImageStore {
  /** Undefined when no image of that reference is present. Accepts tags, digests and image ids. */
  find(reference: string): Promise<Image | undefined>;
  /**
   * Fetches from a registry; rejects with an {@link ImageError}. Layers that are here are not fetched again. Who asks for the
   * same while it is being fetched shares the work.
   */
  pull(reference: string, options?: PullOptions): Promise<Image>;
  /** Reads a docker-save or OCI archive (tar, also gzip) and unpacks it; layers already present are not copied again. */
  load(archive: AsyncIterable<Uint8Array>): Promise<readonly Image[]>;
  list(): Promise<readonly Image[]>;
  /**
   * Removes a tag, and the image with its unshared layers when it was the last one. Layers that a running container stands on
   * stay until a later removal finds them unused.
   */
  remove(reference: string): Promise<boolean>;
}

/** What {@link ImageStore} can do for whoever looks after the disk. */
export interface ImageUpkeep {
  usage(): Promise<ImageUsage>;
  /** Notes that a container of the image is about to run, or runs; `at` in milliseconds since the epoch. */
  used(id: string, at: number): Promise<void>;
  /**
   * Removes images nobody uses, those longest unused first, until `bytes` are freed (all of them when undefined); then layers and
   * blobs that no image names. Pinned images and those of `inUse` stay, as do those used within `minAgeMs` before `now`, and, unless
   * they have lost their name or `localToo` is set, those that could not be pulled again.
   */
  removeUnused(request: RemoveUnused): Promise<{ readonly removed: readonly Image[]; readonly bytes: number }>;
  /** A pinned image is never removed by {@link removeUnused}. False when it is not here. */
  pin(reference: string, pinned: boolean): Promise<boolean>;
}

export interface ImageUsage {
  /** Of unpacked layers and blobs, each counted once. */
  readonly bytes: number;
  readonly images: readonly {
    readonly image: Image;
    /** When a container last used it, or when it came; milliseconds since the epoch. */
    readonly lastUsed: number;
    readonly pinned: boolean;
    /** It came by an archive or was built here: it cannot be pulled again. */
    readonly local: boolean;
  }[];
}

export interface RemoveUnused {
  /** Ids of images that pods of this node have containers of, running or not. */
  readonly inUse: ReadonlySet<string>;
  readonly bytes?: number;
  readonly minAgeMs?: number;
  readonly now: number;
  /** Only images without a tag. */
  readonly danglingOnly?: boolean;
  /** Also images that came by an archive or were built here. */
  readonly localToo?: boolean;
}

export interface PullOptions {
  /** In order of precedence: pull secrets, then what the node itself has. */
  readonly credentials?: readonly CredentialEntries[];
  readonly progress?: PullProgress;
  readonly signal?: AbortSignal;
  /** `linux/arm64`; default this machine's. */
  readonly platform?: string;
}

export type PullProgress = (
  event:
    | {
        readonly type: 'resolved';
        readonly digest: string;
        readonly layers: readonly { readonly digest: string; readonly size: number }[];
      }
    | { readonly type: 'layer'; readonly digest: string; readonly bytes: number }
    | { readonly type: 'unpacked'; readonly digest: string },
) => void;

export interface Image {
  /** `sha256:…` of the image configuration. */
  readonly id: string;
  /** Full references with tag: `docker.io/library/redis:7`. */
  readonly tags: readonly string[];
  /** Full references with the digest of the manifest (or of the index it was chosen from). */
  readonly digests: readonly string[];
  readonly size: number;
  /** Unpacked layer directories, topmost first, as overlay wants them. */
  readonly layers: readonly string[];
  readonly config: ImageConfig;
}

/** The execution part of an OCI image configuration. */
export interface ImageConfig {
  readonly User?: string;
  readonly Env?: readonly string[];
  readonly Entrypoint?: readonly string[];
  readonly Cmd?: readonly string[];
  readonly WorkingDir?: string;
  readonly ExposedPorts?: Readonly<Record<string, object>>;
  readonly Volumes?: Readonly<Record<string, object>>;
  readonly StopSignal?: string;
  readonly Labels?: Readonly<Record<string, string>>;
}

/** `reason` is the container's waiting reason: `ErrImagePull`, `ErrImageNeverPull`, `InvalidImageName`. */
export class ImageError extends Error {
  constructor(
    readonly reason: 'ErrImagePull' | 'ErrImageNeverPull' | 'InvalidImageName',
    readonly reference: string,
    message: string,
  ) {
    super(message);
    this.name = 'ImageError';
  }
}
