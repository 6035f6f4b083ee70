import * as fs from 'node:fs/promises';
import { join } from 'node:path';
import type { Client } from '@trimtab/client';
import {
  isReason,
  Nodes,
  type PersistentVolume,
  type PersistentVolumeClaim,
  PersistentVolumeClaims,
  PersistentVolumes,
  type Volume,
} from '@trimtab/machinery';
import { type Pod, uidOf } from '../pod/api.js';
import { claimNameOf, claimRefusal, isMade, type Place, placeOf } from './claim-volumes.js';
import { applyFsGroup } from './fs-group.js';
import { checkHostPath } from './host-path.js';

export interface PersistentVolumesOptions {
  readonly client: Client;
  readonly nodeName: string;
  /** Absolute; made when it is missing. Volumes that the provisioner makes for this node are right below it. */
  readonly volumesDir: string;
  /** What pods use is noted at `<podsDir>/<uid>/volumes/<volume>`. */
  readonly podsDir: string;
}

/** The note of a pod's use of a volume. It is there before the volume is touched, and goes with the pod's other volumes. */
interface Use {
  readonly volume: string;
  readonly path: string;
  /** All is done; what the pod makes of it from then on is its own. */
  readonly ready: boolean;
}

/** Volumes behind claims: finds what they are bound to and makes that ready on this node. */
export class PersistentVolumeMounter {
  readonly #options: PersistentVolumesOptions;
  readonly #paths = new Map<string, string>();
  /** Steps on one volume follow one another. */
  readonly #last = new Map<string, Promise<void>>();

  constructor(options: PersistentVolumesOptions) {
    this.#options = options;
  }

  /** Where a volume is; only after {@link mount}. */
  pathOf(pod: Pod, name: string): string {
    const path = this.#paths.get(`${uidOf(pod)}/${name}`);
    if (!path) throw new Error(`volume "${name}" is not mounted`);
    return path;
  }

  /**
   * Idempotent; what was mounted by an earlier kubelet is found again whatever has become of the claim. Rejects when the claim
   * is not bound, its volume is not for this node or of no type that this node has.
   */
  async mount(pod: Pod, volume: Volume): Promise<void> {
    const note = this.#noteOf(uidOf(pod), volume.name);
    const found = await readUse(note);
    const path = found?.ready ? found.path : await this.#begin(pod, volume, note);
    this.#paths.set(`${uidOf(pod)}/${volume.name}`, path);
  }

  forget(uid: string): void {
    for (const key of this.#paths.keys()) if (key.startsWith(`${uid}/`)) this.#paths.delete(key);
  }

  /**
   * Removes the directory of a volume made here; false while a pod of this node uses it. One whose path is not right below
   * this node's directory is left where it is.
   */
  async discard(volume: PersistentVolume): Promise<boolean> {
    if ((await this.usersOf(volume.metadata.name ?? '')).length > 0) return false;
    if (isMade(volume, this.#options.volumesDir))
      await fs.rm(volume.spec!.local!.path, { recursive: true, force: true });
    return true;
  }

  /** The UIDs of pods that use a volume, by what is noted on disk. */
  async usersOf(volume: string, onlyReady = false): Promise<readonly string[]> {
    const { podsDir } = this.#options;
    const users: string[] = [];
    for (const uid of await fs.readdir(podsDir).catch(() => [])) {
      for (const entry of await fs.readdir(join(podsDir, uid, 'volumes'), { withFileTypes: true }).catch(() => [])) {
        if (!entry.isFile()) continue;
        const use = await readUse(this.#noteOf(uid, entry.name));
        if (use?.volume === volume && (use.ready || !onlyReady)) users.push(uid);
      }
    }
    return users;
  }

  async #begin(pod: Pod, volume: Volume, note: string): Promise<string> {
    const { client, nodeName, volumesDir } = this.#options;
    const claim = await this.#claim(pod, volume);
    const name = claim.spec?.volumeName ?? '';
    await fs.mkdir(join(note, '..'), { recursive: true, mode: 0o755 });
    await writeUse(note, { volume: name, path: '', ready: false });
    try {
      const [persistent, node] = await Promise.all([
        client.get(PersistentVolumes, { name }),
        client.get(Nodes, { name: nodeName }),
      ]);
      const place = placeOf(persistent, claim, node, volumesDir);
      await this.#inTurn(name, () => this.#prepare(pod, volume, name, place));
      await writeUse(note, { volume: name, path: place.path, ready: true });
      return place.path;
    } catch (error) {
      await fs.rm(note, { force: true });
      throw error;
    }
  }

  async #claim(pod: Pod, volume: Volume): Promise<PersistentVolumeClaim> {
    const key = { namespace: pod.metadata.namespace, name: claimNameOf(pod, volume) ?? '' };
    const claim = await this.#options.client.get(PersistentVolumeClaims, key).catch((error: unknown) => {
      if (!isReason(error, 'NotFound', 'Forbidden')) throw error;
      const why = error instanceof Error ? error.message : String(error);
      throw new Error(`error processing PVC ${key.namespace}/${key.name}: failed to fetch PVC from API server: ${why}`);
    });
    const refusal = claimRefusal(pod, volume, claim);
    if (refusal) throw new Error(refusal);
    return claim;
  }

  async #prepare(pod: Pod, volume: Volume, name: string, { kind, path, type }: Place): Promise<void> {
    if (kind === 'hostPath') {
      // As for any hostPath: the node's own files are nobody's to give away.
      await checkHostPath(path, type);
      return;
    }
    if (kind === 'made') await makeShared(path);
    else await checkDirectory(path);
    const { fsGroup, fsGroupChangePolicy } = pod.spec.securityContext ?? {};
    if (fsGroup === undefined || volume.persistentVolumeClaim?.readOnly) return;
    // Another pod is at work in there: its files are not taken from it.
    if ((await this.usersOf(name, true)).length === 0) await applyFsGroup(path, fsGroup, fsGroupChangePolicy);
  }

  async #inTurn(volume: string, step: () => Promise<void>): Promise<void> {
    const before = this.#last.get(volume) ?? Promise.resolve();
    const mine = before.catch(() => {}).then(step);
    this.#last.set(volume, mine);
    try {
      await mine;
    } finally {
      if (this.#last.get(volume) === mine) this.#last.delete(volume);
    }
  }

  #noteOf(uid: string, volume: string): string {
    return join(this.#options.podsDir, uid, 'volumes', volume);
  }
}

/** A directory that every user may write to. It appears with its final mode, also when this process is killed meanwhile. */
async function makeShared(path: string): Promise<void> {
  if (await fs.lstat(path).catch(() => undefined)) return checkDirectory(path);
  const parent = join(path, '..');
  await fs.mkdir(parent, { recursive: true, mode: 0o711 });
  const fresh = await fs.mkdtemp(join(parent, '.new-'));
  await fs.chmod(fresh, 0o777);
  await fs.rename(fresh, path);
}

async function checkDirectory(path: string): Promise<void> {
  const stat = await fs.lstat(path).catch(() => undefined);
  if (!stat) throw new Error(`path "${path}" does not exist`);
  if (!stat.isDirectory()) throw new Error(`path "${path}" is not a directory`);
}

async function readUse(note: string): Promise<Use | undefined> {
  try {
    return JSON.parse(await fs.readFile(note, 'utf8')) as Use;
  } catch {
    return undefined;
  }
}

/** Whole or not at all. */
async function writeUse(note: string, use: Use): Promise<void> {
  const fresh = join(note, '..', `.${note.slice(note.lastIndexOf('/') + 1)}.new`);
  await fs.writeFile(fresh, JSON.stringify(use));
  await fs.rename(fresh, note);
}
