import type { Client } from '@trimtab/client';
import type { Clock, Logger } from '@trimtab/machinery';
import { isReason, Nodes, notFound } from '@trimtab/machinery';
import { PODS, type Pod, uidOf } from '../../pod/api.js';
import type { PodHandler, PodSource } from '../pod-source.js';
import { withMethods } from '../with-methods.js';
import type { ManifestFolder } from './manifest-folder.js';
import { mirrorHash, mirrorOf, staticPod } from './static-pod.js';

export interface StaticPodsOptions {
  readonly folder: ManifestFolder;
  readonly source: PodSource;
  readonly nodeName: string;
  readonly client: Client;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Whether a pod of this UID still holds anything of the node. */
  readonly isHere: (uid: string) => boolean;
}

const RETRY_MS = 10_000;
const GONE_CHECK_MS = 200;

const keyOf = ({ metadata }: Pick<Pod, 'metadata'>): string => `${metadata.namespace}/${metadata.name}`;

/**
 * Pods from a folder beside those of the API. Each is shown in the API by a mirror, which is made again when somebody deletes it and
 * goes with its manifest; the kubelet writes the pod's status to the mirror.
 */
export class StaticPods implements PodSource {
  readonly #options: StaticPodsOptions;
  /** What the folder asks for, by namespace and name. */
  readonly #pods = new Map<string, Pod>();
  readonly #mirrors = new Map<string, Pod>();
  readonly #waiting = new Map<string, () => void>();
  readonly #busy = new Set<string>();
  /** Those who wait for a mirror. */
  readonly #lookers = new Set<() => void>();
  #handler: PodHandler | undefined;
  #stops: (() => void)[] = [];
  #read: Promise<void> | undefined;
  #stopped = false;

  constructor(options: StaticPodsOptions) {
    this.#options = options;
  }

  /** Reads the folder for the first time, and the API. */
  async whenSynced(): Promise<void> {
    this.#read ??= this.#reload();
    await Promise.all([this.#read, this.#options.source.whenSynced()]);
  }

  listen(handler: PodHandler): () => void {
    this.#handler = handler;
    this.#stops.push(
      this.#options.source.listen({
        seen: (pod) => (mirrorHash(pod) === undefined ? handler.seen(pod) : this.#mirrorSeen(pod)),
        removed: (pod) => (mirrorHash(pod) === undefined ? handler.removed(pod) : this.#mirrorGone(pod)),
      }),
      this.#options.folder.watch(() => {
        this.#read = (this.#read ?? Promise.resolve()).then(() => this.#reload());
      }),
    );
    for (const pod of this.#pods.values()) this.#offer(pod);
    for (const key of new Set([...this.#pods.keys(), ...this.#mirrors.keys()])) this.#reconcile(key);
    return () => this.stop();
  }

  stop(): void {
    this.#stopped = true;
    for (const stop of this.#stops.splice(0)) stop();
    for (const cancel of this.#waiting.values()) cancel();
    this.#waiting.clear();
    for (const look of [...this.#lookers]) look();
  }

  /** The UID a pod runs under here, given the one the API knows it by. */
  ownUid(uid: string): string {
    for (const [key, mirror] of this.#mirrors) if (uidOf(mirror) === uid) return uidOf(this.#pods.get(key) ?? mirror);
    return uid;
  }

  /** The API as the workers of static pods are to see it: their status goes to the mirror, and there is nothing else to write. */
  clientFor(client: Client): Client {
    const ours = (namespace: string | undefined, name: string): Pod | undefined =>
      this.#pods.get(`${namespace ?? ''}/${name}`);
    const patch: Client['patch'] = async (type, key, change, options) => {
      const pod =
        type.resource === 'pods' && options?.subresource === 'status' ? ours(key.namespace, key.name) : undefined;
      if (!pod) return client.patch(type, key, change, options);
      for (let last = ''; ; ) {
        const uid = await this.#mirrorUid(pod, last);
        try {
          const body = { ...(change.body as object), metadata: { uid } };
          return await client.patch(type, key, { ...change, body } as typeof change, options);
        } catch (error) {
          // Somebody has deleted the mirror: there will be another.
          if (!isReason(error, 'NotFound', 'Conflict')) throw error;
          last = uid;
        }
      }
    };
    return withMethods(client, { patch });
  }

  /** The UID of the pod's mirror, as soon as there is one that is not `gone`. */
  #mirrorUid(pod: Pod, gone: string): Promise<string> {
    return new Promise((resolve, reject) => {
      const look = (): void => {
        const mirror = this.#mirrors.get(keyOf(pod));
        if (this.#stopped || this.#pods.get(keyOf(pod)) !== pod) reject(notFound(PODS, pod.metadata.name ?? ''));
        else if (mirror && mirrorHash(mirror) === uidOf(pod) && uidOf(mirror) !== gone) resolve(uidOf(mirror));
        else return;
        this.#lookers.delete(look);
      };
      this.#lookers.add(look);
      look();
    });
  }

  async #reload(): Promise<void> {
    const { folder, nodeName, clock, logger } = this.#options;
    const wanted = new Map<string, Pod>();
    for (const { path, text } of await folder.read()) {
      try {
        const pod = staticPod(text, path, nodeName, clock.now());
        if (wanted.has(keyOf(pod))) throw new Error(`another manifest describes ${keyOf(pod)} already`);
        const known = this.#pods.get(keyOf(pod));
        wanted.set(keyOf(pod), known && uidOf(known) === uidOf(pod) ? known : pod);
      } catch (error) {
        logger.error({ file: path, error: error instanceof Error ? error.message : String(error) }, 'no static pod');
      }
    }
    if (this.#stopped) return;
    for (const [key, pod] of [...this.#pods]) {
      if (wanted.get(key) === pod) continue;
      this.#pods.delete(key);
      for (const look of [...this.#lookers]) look();
      this.#waiting.get(key)?.();
      this.#waiting.delete(key);
      this.#handler?.removed(pod);
      this.#reconcile(key);
      const next = wanted.get(key);
      if (next) this.#replace(key, pod, next);
    }
    for (const [key, pod] of wanted) {
      if (this.#pods.has(key) || this.#waiting.has(key)) continue;
      this.#pods.set(key, pod);
      this.#offer(pod);
      this.#reconcile(key);
    }
  }

  /** The next of a name starts when the one before holds nothing any more: ports and volumes are the same. */
  #replace(key: string, before: Pod, next: Pod): void {
    const { clock, isHere } = this.#options;
    const look = (): void => {
      if (this.#stopped) return;
      if (isHere(uidOf(before))) {
        this.#waiting.set(key, clock.after(GONE_CHECK_MS, look));
        return;
      }
      this.#waiting.delete(key);
      this.#pods.set(key, next);
      this.#offer(next);
      this.#reconcile(key);
    };
    this.#waiting.set(key, clock.after(0, look));
  }

  /** With what its mirror says of it, which other writers may have changed. */
  #offer(pod: Pod): void {
    const mirror = this.#mirrors.get(keyOf(pod));
    const ours = mirror && mirrorHash(mirror) === uidOf(pod) ? mirror : undefined;
    const { resourceVersion } = ours?.metadata ?? {};
    this.#handler?.seen(
      ours
        ? {
            ...pod,
            metadata: { ...pod.metadata, ...(resourceVersion ? { resourceVersion } : {}) },
            status: ours.status,
          }
        : pod,
    );
  }

  #mirrorSeen(mirror: Pod): void {
    const key = keyOf(mirror);
    this.#mirrors.set(key, mirror);
    for (const look of [...this.#lookers]) look();
    const pod = this.#pods.get(key);
    if (pod && mirrorHash(mirror) === uidOf(pod)) this.#offer(pod);
    this.#reconcile(key);
  }

  #mirrorGone(mirror: Pod): void {
    this.#forget(mirror);
    this.#reconcile(keyOf(mirror));
  }

  #forget(mirror: Pod): void {
    const key = keyOf(mirror);
    if (uidOf(this.#mirrors.get(key) ?? mirror) === uidOf(mirror)) this.#mirrors.delete(key);
  }

  #reconcile(key: string): void {
    if (!this.#handler || this.#stopped || this.#busy.has(key)) return;
    const work = this.#due(key);
    if (!work) return;
    this.#busy.add(key);
    work().then(
      () => {
        this.#busy.delete(key);
        this.#reconcile(key);
      },
      (error: unknown) => {
        this.#options.logger.warn({ pod: key, error: String(error) }, 'mirror of a static pod is not as it is to be');
        this.#options.clock.after(RETRY_MS, () => {
          this.#busy.delete(key);
          this.#reconcile(key);
        });
      },
    );
  }

  /** What is to be done about a mirror, if anything; whatever is done is seen, and looked at again then. */
  #due(key: string): (() => Promise<unknown>) | undefined {
    const pod = this.#pods.get(key);
    const mirror = this.#mirrors.get(key);
    if (mirror) {
      const right = pod && mirrorHash(mirror) === uidOf(pod) && !mirror.metadata.deletionTimestamp;
      // One whose manifest is about to come back is told apart by its hash, and goes as well.
      return right ? undefined : () => this.#remove(mirror);
    }
    return pod && (() => this.#create(pod));
  }

  async #create(pod: Pod): Promise<void> {
    const { client, nodeName } = this.#options;
    const node = await client.get(Nodes, { name: nodeName });
    const made = (await client.create(PODS, mirrorOf(pod, node.metadata.uid))) as Pod;
    if (!this.#mirrors.has(keyOf(pod))) this.#mirrorSeen(made);
  }

  async #remove(mirror: Pod): Promise<void> {
    const { metadata } = mirror;
    const key = { namespace: metadata.namespace, name: metadata.name ?? '' };
    const options = { gracePeriodSeconds: 0, preconditions: { uid: metadata.uid } };
    await this.#options.client.delete(PODS, key, options).catch((error: unknown) => {
      if (!isReason(error, 'NotFound', 'Conflict')) throw error;
    });
    this.#forget(mirror);
  }
}
