import { type Client, type Informer, type Informers, recordingClient } from '@trimtab/client';
import {
  type Clock,
  type PersistentVolume,
  type PersistentVolumeClaim,
  PersistentVolumeClaims,
  PersistentVolumes,
  type Pod,
  Pods,
  type StorageClass,
  StorageClasses,
} from '@trimtab/machinery';
import { annotationOf, BOUND_BY_CONTROLLER, claimsOf, SELECTED_NODE } from '../storage/names.js';
import { isBound, type StorageView, type VolumePlan } from './volumes.js';

export interface VolumeBinderOptions {
  readonly client: Client;
  readonly informers: Informers;
  readonly clock: Clock;
  readonly fieldManager: string;
}

/** How long a pod holds its place on a node while volumes are being made (kube-scheduler: bindTimeoutSeconds). */
const TIMEOUT_MS = 600_000;
const PRE_BIND = 'running PreBind plugin "VolumeBinding": binding volumes: ';

interface Waiter {
  readonly plan: VolumePlan;
  readonly done: () => void;
  readonly failed: (error: Error) => void;
}

/** Carries volume plans out, and waits for claims to be bound. What is under way is in the view of the next decision. */
export class VolumeBinder implements StorageView {
  readonly #client: Client;
  readonly #options: VolumeBinderOptions;
  readonly #claims: Informer<PersistentVolumeClaim>;
  readonly #volumes: Informer<PersistentVolume>;
  readonly #classes: Informer<StorageClass>;
  readonly #pods: Informer<Pod>;
  readonly #waiters = new Map<string, Waiter>();
  readonly #stops: (() => void)[] = [];
  /** Of plans being carried out: the node promised to a claim, and the claim promised a volume. */
  readonly #nodes = new Map<string, string>();
  readonly #reserved = new Map<string, PersistentVolumeClaim>();

  constructor(options: VolumeBinderOptions) {
    const { client, informers } = options;
    this.#options = options;
    this.#client = recordingClient(client, informers);
    this.#claims = informers.get(PersistentVolumeClaims);
    this.#volumes = informers.get(PersistentVolumes);
    this.#classes = informers.get(StorageClasses);
    this.#pods = informers.get(Pods, {
      indexes: { claim: (pod) => claimsOf(pod).map(({ claim }) => `${pod.metadata.namespace}/${claim}`) },
    });
  }

  /** Resolves once the caches are filled; `changed` is called when pods that wait for volumes may have got on. */
  async start(changed: () => void): Promise<void> {
    const look = () => {
      for (const waiter of [...this.#waiters.values()]) this.#check(waiter);
      changed();
    };
    for (const informer of [this.#claims, this.#volumes, this.#classes] as unknown as readonly Informer<never>[])
      this.#stops.push(informer.addHandler(look).remove);
    await Promise.all([this.#claims.whenSynced(), this.#volumes.whenSynced(), this.#classes.whenSynced()]);
  }

  stop(): void {
    for (const stop of this.#stops) stop();
    for (const uid of [...this.#waiters.keys()]) this.cancel(uid);
  }

  claim(namespace: string, name: string): PersistentVolumeClaim | undefined {
    const claim = this.#claims.get({ namespace, name });
    const node = claim && this.#nodes.get(claim.metadata.uid!);
    if (!node || annotationOf(claim, SELECTED_NODE)) return claim;
    const annotations = { ...claim.metadata.annotations, [SELECTED_NODE]: node };
    return { ...claim, metadata: { ...claim.metadata, annotations } };
  }

  volume(name: string): PersistentVolume | undefined {
    return this.#volumes.get({ name });
  }

  volumes(): readonly PersistentVolume[] {
    if (this.#reserved.size === 0) return this.#volumes.list();
    return this.#volumes.list().map((volume) => {
      const claim = this.#reserved.get(volume.metadata.name!);
      return claim && !volume.spec?.claimRef ? reservedFor(volume, claim) : volume;
    });
  }

  storageClass(name: string): StorageClass | undefined {
    return this.#classes.get({ name });
  }

  users(namespace: string, claim: string): readonly Pod[] {
    return this.#pods.byIndex('claim', `${namespace}/${claim}`).filter((pod) => pod.spec?.nodeName);
  }

  /**
   * Writes what the plan says and resolves when all claims are bound. Rejects when a volume is taken, cannot be made or is
   * not there in ten minutes; the pod is then to be scheduled anew. The promises count from the moment of the call.
   */
  async bind(uid: string, plan: VolumePlan): Promise<void> {
    if (plan.unbound.length === 0) return;
    for (const claim of plan.provision) this.#nodes.set(claim.metadata.uid!, plan.node);
    for (const { volume, claim } of plan.reserve) this.#reserved.set(volume.metadata.name!, claim);
    try {
      for (const { volume, claim } of plan.reserve) await this.#reserve(volume, claim);
      for (const claim of plan.provision) await this.#select(claim, plan.node);
      await this.#bound(uid, plan);
    } catch (error) {
      // Whatever it was, it is no answer about the pod itself.
      const why = error instanceof Error ? error.message : String(error);
      throw new Error(why.startsWith(PRE_BIND) ? why : `${PRE_BIND}${why}`);
    } finally {
      for (const claim of plan.provision) this.#nodes.delete(claim.metadata.uid!);
      for (const { volume } of plan.reserve) this.#reserved.delete(volume.metadata.name!);
    }
  }

  /** The pod no longer needs what it waits for. */
  cancel(uid: string): void {
    this.#waiters.get(uid)?.failed(new Error('the pod is gone'));
  }

  async #reserve(volume: PersistentVolume, claim: PersistentVolumeClaim): Promise<void> {
    if (volume.spec?.claimRef?.uid === claim.metadata.uid) return;
    const { fieldManager } = this.#options;
    await this.#client.update(PersistentVolumes, reservedFor(volume, claim), { fieldManager });
  }

  async #select(claim: PersistentVolumeClaim, node: string): Promise<void> {
    const { uid, namespace, name } = claim.metadata;
    const cached = this.#claims.get({ namespace, name: name! });
    if (cached && annotationOf(cached, SELECTED_NODE) === node) return;
    const body = { metadata: { uid, annotations: { [SELECTED_NODE]: node } } };
    const { fieldManager } = this.#options;
    await this.#client.patch(
      PersistentVolumeClaims,
      { namespace, name: name! },
      { type: 'merge', body },
      { fieldManager },
    );
  }

  #bound(uid: string, plan: VolumePlan): Promise<void> {
    return new Promise((resolve, reject) => {
      const settle = (then: () => void) => {
        if (this.#waiters.get(uid) !== waiter) return;
        this.#waiters.delete(uid);
        cancel();
        then();
      };
      const waiter: Waiter = { plan, done: () => settle(resolve), failed: (error) => settle(() => reject(error)) };
      const cancel = this.#options.clock.after(TIMEOUT_MS, () =>
        waiter.failed(new Error(`${PRE_BIND}timed out waiting for the condition`)),
      );
      this.#waiters.set(uid, waiter);
      this.#check(waiter);
    });
  }

  #check({ plan, done, failed }: Waiter): void {
    const claims = plan.unbound.map((key) => ({ key, claim: this.#claims.get(key) }));
    const provisioned = new Set(plan.provision.map(({ metadata }) => metadata.name));
    const gone = claims.find(({ claim }) => !claim);
    // The provisioner takes the node off a claim for which it can make nothing there.
    const failing = claims.find(
      ({ key, claim }) =>
        claim && !isBound(claim) && provisioned.has(key.name) && annotationOf(claim, SELECTED_NODE) !== plan.node,
    );
    if (gone) failed(new Error(`${PRE_BIND}persistentvolumeclaim "${gone.key.name}" not found`));
    else if (failing) failed(new Error(`${PRE_BIND}provisioning failed for PVC "${failing.key.name}"`));
    else if (claims.every(({ claim }) => isBound(claim!))) done();
  }
}

function reservedFor(volume: PersistentVolume, claim: PersistentVolumeClaim): PersistentVolume {
  const { namespace, name, uid, resourceVersion } = claim.metadata;
  const claimRef = { apiVersion: 'v1', kind: 'PersistentVolumeClaim', namespace, name, uid, resourceVersion };
  const byUs: Record<string, string> = volume.spec?.claimRef ? {} : { [BOUND_BY_CONTROLLER]: 'yes' };
  const annotations = { ...volume.metadata.annotations, ...byUs };
  return { ...volume, metadata: { ...volume.metadata, annotations }, spec: { ...volume.spec, claimRef } };
}
