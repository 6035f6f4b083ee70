import type { Client } from '@trimtab/client';
import type { Clock, ConfigMap, Logger, Random, Secret, Volume } from '@trimtab/machinery';
import type { DownwardFacts } from '../container/downward.js';
import { type Pod, uidOf } from '../pod/api.js';
import { writePayload } from './atomic-writer.js';
import { makeShared } from './empty-dir.js';
import type { ObjectTracker } from './object-tracker.js';
import { isPayloadVolume, payloadOf } from './payload.js';
import { requestToken, type Token } from './tokens.js';
import { isSecretPayload } from './volume-kind.js';

export interface PayloadVolumesOptions {
  readonly client: Client;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly tracker: ObjectTracker;
  readonly downward: (pod: Pod) => DownwardFacts;
}

/**
 * One pod's volumes that are made of API objects: written when the pod is set up, and again whenever what they show has changed
 * or a token has aged. Writes follow one another, and after {@link stop} there are none.
 */
export class PayloadVolumes {
  readonly #options: PayloadVolumesOptions;
  readonly #directoryOf: (volume: Volume) => string;
  readonly #tokens = new Map<string, Token>();
  #pod: Pod;
  #live = false;
  /** Something has changed since it was written, when nothing was followed yet. */
  #missed = false;
  #stopped = false;
  #cancelRefresh: (() => void) | undefined;
  #last: Promise<void> = Promise.resolve();
  #versions = 0;

  constructor(options: PayloadVolumesOptions, pod: Pod, directoryOf: (volume: Volume) => string) {
    this.#options = options;
    this.#pod = pod;
    this.#directoryOf = directoryOf;
  }

  /** Rejects with what is missing. */
  write(volume: Volume): Promise<void> {
    return this.#inTurn(() => this.#write(volume));
  }

  /** From now on changes are followed, beginning with those that came while volumes were being written. */
  follow(): void {
    this.#live = true;
    if (this.#missed) this.refresh();
  }

  /** The pod's own metadata or resources have changed. */
  updated(pod: Pod): void {
    const before = this.#pod;
    this.#pod = pod;
    if (shown(before) !== shown(pod)) this.refresh();
  }

  /** Rewrites what has changed; failures leave the old content. */
  refresh(): void {
    this.#missed = !this.#live;
    if (!this.#live) return;
    void this.#inTurn(async () => {
      for (const volume of this.#pod.spec.volumes ?? []) {
        if (!isPayloadVolume(volume) || this.#stopped) continue;
        try {
          await this.#write(volume);
        } catch (error) {
          const about = { uid: uidOf(this.#pod), volume: volume.name, error: String(error) };
          // What it is made of often goes together with the pod.
          this.#options.logger[this.#pod.metadata.deletionTimestamp ? 'debug' : 'warn'](
            about,
            'volume not brought up to date',
          );
          this.#armRefresh();
        }
      }
    });
  }

  /** Resolves when the write under way has ended. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#cancelRefresh?.();
    await this.#last;
  }

  async #write(volume: Volume): Promise<void> {
    const { tracker, downward, clock } = this.#options;
    const pod = this.#pod;
    await this.#ensureTokens(volume);
    const namespace = pod.metadata.namespace ?? '';
    const payload = payloadOf(volume, {
      downward: downward(pod),
      configMap: (name) => tracker.get({ kind: 'ConfigMap', namespace, name }) as ConfigMap | undefined,
      secret: (name) => tracker.get({ kind: 'Secret', namespace, name }) as Secret | undefined,
      bundles: () => tracker.bundles(),
      token: (source) => this.#tokens.get(`${volume.name}/${source}`)?.token ?? '',
    });
    if (this.#stopped) return;
    const directory = this.#directoryOf(volume);
    const fsGroup = pod.spec.securityContext?.fsGroup;
    await makeShared(directory, fsGroup, isSecretPayload(volume));
    const version = `${new Date(clock.now()).toISOString().replaceAll(/[-:.]/g, '_')}_${++this.#versions}`;
    await writePayload(directory, payload, fsGroup, version);
  }

  async #ensureTokens(volume: Volume): Promise<void> {
    const { client, clock, random } = this.#options;
    for (const [index, source] of (volume.projected?.sources ?? []).entries()) {
      if (!source.serviceAccountToken) continue;
      const key = `${volume.name}/${index}`;
      const known = this.#tokens.get(key);
      if (known && clock.now() < known.refreshAt) continue;
      this.#tokens.set(key, await requestToken(client, clock, random, this.#pod, source.serviceAccountToken));
    }
    this.#armRefresh();
  }

  #armRefresh(): void {
    const { clock } = this.#options;
    this.#cancelRefresh?.();
    const due = Math.min(...[...this.#tokens.values()].map((token) => token.refreshAt));
    if (!Number.isFinite(due) || this.#stopped) return;
    // Never sooner than in a second: a server that hands out expired tokens must not make us spin.
    this.#cancelRefresh = clock.after(Math.max(due - clock.now(), 1_000), () => this.refresh());
  }

  #inTurn(step: () => Promise<void>): Promise<void> {
    const mine = this.#last.then(step);
    this.#last = mine.catch(() => {});
    return mine;
  }
}

/** What the downward API shows of a pod that may change while it runs. */
function shown({ metadata, spec }: Pod): string {
  const sources = (spec.volumes ?? []).flatMap((v) => [v, ...(v.projected?.sources ?? [])]);
  if (!sources.some((source) => source.downwardAPI)) return '';
  const resources = [...(spec.initContainers ?? []), ...spec.containers].map((c) => c.resources);
  return JSON.stringify([metadata.labels, metadata.annotations, resources]);
}
