import * as fs from 'node:fs/promises';
import { join } from 'node:path';
import type { Pod } from '../pod/api.js';
import type { OciMount } from '../runtime/oci.js';
import type { IdMaps } from '../runtime/volume-mounts.js';

/** Ids of a pod with `hostUsers: false`, as many as Kubernetes gives (KEP-127). */
export const POD_IDS = 65_536;
/** The last block would hold the id that means "none". */
const LAST_BLOCK = 2 ** 32 / POD_IDS - 2;
const RECORD = 'userns';

/** What a pod's user namespace is made of. */
export type PodIdMaps = IdMaps;

export interface UserNamespacesOptions {
  /** A pod's ids are recorded at `<podsDir>/<uid>/userns`, so that they stay the same as long as its files are there. */
  readonly podsDir: string;
  /** Contents of `/etc/subuid` and `/etc/subgid`: ids that users of the node have been promised are nobody else's. */
  readonly subordinateIds: () => Promise<readonly string[]>;
}

/**
 * Gives each pod with `hostUsers: false` a block of {@link POD_IDS} ids of the node, aligned, that no other pod and no user of the
 * node has; the first block is the node's own. A pod keeps its block across restarts of the kubelet and of its sandbox.
 */
export class UserNamespaces {
  readonly #options: UserNamespacesOptions;
  readonly #blocks = new Map<string, number>();
  #loaded: Promise<void> | undefined;
  /** Two pods at once must not find the same block free. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(options: UserNamespacesOptions) {
    this.#options = options;
  }

  /** Rejects when no block is free, or a record cannot be read or written: ids are never guessed. */
  of(uid: string): Promise<PodIdMaps> {
    const found = this.#turn.then(() => this.#find(uid));
    this.#turn = found.catch(() => {});
    return found.then(idMaps);
  }

  /** Of a pod that has a user namespace. */
  async ofPod({ metadata, spec }: Pod): Promise<PodIdMaps | undefined> {
    return spec.hostUsers === false ? this.of(metadata.uid ?? '') : undefined;
  }

  /** The pod's files are gone: its ids may be given to others. */
  release(uid: string): void {
    this.#blocks.delete(uid);
  }

  async #find(uid: string): Promise<number> {
    this.#loaded ??= this.#load();
    await this.#loaded.catch((error: unknown) => {
      this.#loaded = undefined;
      throw error;
    });
    const known = this.#blocks.get(uid);
    if (known !== undefined) return known;
    const block = freeBlock(new Set(this.#blocks.values()), takenByUsers(await this.#options.subordinateIds()));
    if (block === undefined) throw new Error('no block of user ids is free on this node');
    await this.#record(uid, block);
    this.#blocks.set(uid, block);
    return block;
  }

  async #load(): Promise<void> {
    for (const uid of await fs.readdir(this.#options.podsDir).catch(() => [])) {
      const text = await fs.readFile(join(this.#options.podsDir, uid, RECORD), 'utf8').catch(absent);
      if (text !== undefined) this.#blocks.set(uid, blockOf(uid, text));
    }
  }

  async #record(uid: string, block: number): Promise<void> {
    const path = join(this.#options.podsDir, uid, RECORD);
    const one = [{ hostId: block * POD_IDS, containerId: 0, length: POD_IDS }];
    await fs.mkdir(join(this.#options.podsDir, uid), { recursive: true, mode: 0o750 });
    await fs.writeFile(`${path}.new`, JSON.stringify({ uidMappings: one, gidMappings: one }), { mode: 0o600 });
    await fs.rename(`${path}.new`, path);
  }
}

/** Those of this node: nobody is given what its users have been promised. */
export function nodeUserNamespaces(podsDir: string): UserNamespaces {
  const subordinateIds = () =>
    Promise.all(['/etc/subuid', '/etc/subgid'].map((path) => fs.readFile(path, 'utf8').catch(() => '')));
  return new UserNamespaces({ podsDir, subordinateIds });
}

/** For a pod with a user namespace: what the node's root owns, its own root owns; what the container writes is written so. */
export function withMappedIds(mounts: readonly OciMount[]): readonly OciMount[] {
  return mounts.map((mount) =>
    mount.type === 'bind' ? { ...mount, options: [...(mount.options ?? []), 'idmap'] } : mount,
  );
}

/** The first block that is neither a pod's nor overlaps a range of the node's users; block 0 is the node's. */
export function freeBlock(
  pods: ReadonlySet<number>,
  users: readonly (readonly [number, number])[],
): number | undefined {
  for (let block = 1; block <= LAST_BLOCK; block++) {
    const first = block * POD_IDS;
    if (!pods.has(block) && !users.some(([from, to]) => from < first + POD_IDS && first < to)) return block;
  }
  return undefined;
}

/** Ranges `[from, to)` of subuid(5) files. */
export function takenByUsers(files: readonly string[]): readonly (readonly [number, number])[] {
  return files.flatMap((text) =>
    text.split('\n').flatMap((line): [number, number][] => {
      const [, start, count] = line.split('#')[0]!.trim().split(':').map(Number);
      return start !== undefined && count !== undefined && count > 0 && start >= 0 ? [[start, start + count]] : [];
    }),
  );
}

function idMaps(block: number): PodIdMaps {
  const one = [{ containerID: 0, hostID: block * POD_IDS, size: POD_IDS }];
  return { uidMappings: one, gidMappings: one };
}

function blockOf(uid: string, text: string): number {
  const { uidMappings } = JSON.parse(text) as { uidMappings?: { hostId?: number; length?: number }[] };
  const { hostId = -1, length } = uidMappings?.[0] ?? {};
  if (hostId < POD_IDS || hostId % POD_IDS !== 0 || length !== POD_IDS)
    throw new Error(`the record of the user ids of pod ${uid} cannot be understood: ${text}`);
  return hostId / POD_IDS;
}

function absent(error: NodeJS.ErrnoException): undefined {
  if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined;
  throw error;
}
