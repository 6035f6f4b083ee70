/**
 * Images as the kubelet needs them: content-addressed, unpacked layers ready to be the lower directories of an overlay.
 */
export interface ImageStore {
  /** Undefined when no image of that reference is present. Accepts tags, digests and image ids. */
  find(reference: string): Promise<Image | undefined>;
  /** Fetches from a registry; rejects with an {@link ImageError}. Without a registry every pull fails clearly. */
  pull(reference: string): Promise<Image>;
  /** Reads a docker-save or OCI archive (tar, also gzip) and unpacks it; layers already present are not copied again. */
  load(archive: AsyncIterable<Uint8Array>): Promise<readonly Image[]>;
  list(): Promise<readonly Image[]>;
  /** Removes a tag, and the image with its unshared layers when it was the last one. */
  remove(reference: string): Promise<boolean>;
}

export interface Image {
  /** `sha256:…` of the image configuration. */
  readonly id: string;
  /** Full references with tag: `docker.io/library/redis:7`. */
  readonly tags: readonly string[];
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
