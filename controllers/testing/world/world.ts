import { type ApiCall, type Client, Informers, interpose, type Patch, type PatchOptions } from '@trimtab/client';
import type { Admission } from '@trimtab/framework';
import {
  type Clock,
  isReason,
  type KubeObject,
  type Logger,
  type ObjectKey,
  type Random,
  type ResourceType,
  seededRandom,
  silentLogger,
  VirtualClock,
} from '@trimtab/machinery';
import {
  type AdmissionPlugin,
  createRegistry,
  type KindSource,
  localClientOf,
  namespaceLifecycle,
  type ObjectReader,
  type Registry,
} from '@trimtab/server';
import type { Operation, Store } from '@trimtab/store';
import { ScriptedKubelet } from '../kubelet/kubelet.js';
import type { KubeletScript } from '../kubelet/script.js';
import { admissionPlugin } from './admit.js';
import { coarseClock } from './coarse-clock.js';
import { type Duration, milliseconds } from './duration.js';
import { bareKinds, definitionOf, kubernetesKinds } from './kinds.js';
import { openLedger } from './ledger.js';
import { WATCH_SECONDS } from './link.js';
import { type ControllerSource, type Parts, Process } from './process.js';
import { letHappen, untilQuiet } from './settle.js';
import { type Cause, Trace, traceLine } from './trace.js';

/** Something that belongs to the cluster and is not under test: a garbage collector, a scheduler, a cloud. */
export interface WorldPart {
  readonly name: string;
  /** Started once; what it needs time for happens while the world's time passes. */
  start(parts: Parts): unknown;
}

/** What everything in a world is made with. */
export interface Around {
  readonly clock: VirtualClock;
  readonly random: Random;
  readonly logger: Logger;
  readonly store: Store;
}

export interface WorldOptions {
  /** Of everything left to chance: names, uids, delays. Default 1. */
  readonly seed?: number;
  readonly logger?: Logger;
  /** Custom kinds: by name alone (nothing validated), as a source, or as a source made from the store. */
  readonly kinds?: readonly (ResourceType | KindSource | ((store: Store) => KindSource))[];
  /** What is tested: run as one process that can be killed and started again. */
  readonly controllers?: readonly ControllerSource[];
  /** What makes the cluster a cluster around it. */
  readonly parts?: readonly WorldPart[];
  /** Runs pods: as a script says, or all of them at once and for good. Default: nobody does. */
  readonly kubelet?: true | KubeletScript;
  /** Further admission plugins, in order. Always there: nothing is created in a namespace that is going away; none need exist. */
  readonly admission?: (around: Around) => readonly AdmissionPlugin[];
  /** Rules that stand beside controllers (`admission({ … })`), asked as their webhooks would be. */
  readonly admissions?: readonly Admission[];
  /** The controllers under test watch kinds by their metadata until they read more, as `runOperator` has it; default false. */
  readonly metadataFirst?: boolean;
  /** False: the trace holds writes only, and not what they were made on account of. Default true. */
  readonly trace?: boolean;
  /** When virtual time begins, in milliseconds since the Unix epoch; default 2026-01-01T00:00:00Z. */
  readonly start?: number;
}

export interface SettleOptions {
  /** How long nothing may be written; default 30 s. */
  readonly quiet?: Duration;
  /** When to give up; default 1 h. */
  readonly within?: Duration;
}

/**
 * A cluster's API in memory and in virtual time: the server's own code, no port, no certificates, nobody refused. The same
 * seed and the same calls give the same {@link World.trace}, byte for byte. Nothing here waits for real time.
 */
export interface World {
  readonly seed: number;
  readonly clock: VirtualClock;
  readonly random: Random;
  readonly logger: Logger;
  readonly store: Store;
  /** The test's own; its writes are the actor `test`'s. */
  readonly client: Client;
  /** Started; shared by whatever the test itself runs in this world. */
  readonly informers: Informers;
  readonly trace: Trace;
  /** The controllers under test. Throws when none were given. */
  readonly process: Process;
  /** All of them, {@link World.spawn}ed ones included. */
  readonly processes: readonly Process[];
  /** Throws when there is none. */
  readonly kubelet: ScriptedKubelet;
  /** A client whose writes are that actor's. */
  clientOf(actor: string): Client;
  /** More controllers, or another replica, as a process of its own; not started. */
  spawn(name: string, controllers: readonly ControllerSource[]): Process;
  /** Puts objects there as they are asked for, in order. */
  create<T extends KubeObject>(type: ResourceType<T>, ...objects: readonly T[]): Promise<readonly T[]>;
  /** Server-side apply, taking fields over. */
  apply<T extends KubeObject>(type: ResourceType<T>, object: T): Promise<T>;
  /** A merge patch; `subresource: 'status'` for the status. */
  patch<T extends KubeObject>(type: ResourceType<T>, key: ObjectKey, body: object, options?: PatchOptions): Promise<T>;
  /** One that is not there is no error. */
  remove(type: ResourceType, key: ObjectKey, options?: Parameters<Client['delete']>[2]): Promise<void>;
  /** Throws NotFound. */
  get<T extends KubeObject>(type: ResourceType<T>, key: ObjectKey): Promise<T>;
  /** Undefined when it is not there. */
  find<T extends KubeObject>(type: ResourceType<T>, key: ObjectKey): Promise<T | undefined>;
  list<T extends KubeObject>(type: ResourceType<T>, namespace?: string): Promise<readonly T[]>;
  /** Lets everything that is due happen, then that much virtual time pass. */
  pass(time?: Duration): Promise<void>;
  /** Passes time until nothing is written for a while. Rejects with the timeline when that does not come. */
  settle(options?: SettleOptions): Promise<void>;
  /** Passes time until `holds`, looked at after every change. Rejects with the timeline when that does not come. */
  until(holds: () => unknown, options?: { readonly within?: Duration; readonly what?: string }): Promise<void>;
  /** The last `lines` of the trace. */
  timeline(lines?: number): string;
  close(): Promise<void>;
}

const DEFAULT_QUIET = 30_000;
const TURNS = 10;
const DEFAULT_WITHIN = 3_600_000;

const anybody = { authorize: () => ({ allowed: true, reason: '' }) };

/** A world, its controllers started and everything that is due at its first instant done. */
export async function world(options: WorldOptions = {}): Promise<World> {
  const { seed = 1, logger = silentLogger, controllers, parts = [], kubelet, trace: keep = true } = options;
  const clock = new VirtualClock(options.start);
  const random = seededRandom(seed);
  const trace = new Trace(clock.now(), keep);
  const ledger = await openLedger(clock, trace);
  const { store } = ledger;
  const registry = registryOf(options, { clock, random, logger, store }, coarseClock(clock));
  if (parts.length > 0) await define(store, options.kinds ?? []);
  let underWay = 0;
  const counted = async (call: ApiCall, next: (call: ApiCall) => Promise<unknown>) => {
    underWay++;
    try {
      return await next(call);
    } finally {
      underWay--;
    }
  };
  const clientOf = (actor: string, cause?: Cause): Client => {
    const user = { name: `system:${actor}`, groups: ['system:masters'] };
    return interpose(localClientOf({ ...registry, store: ledger.door(actor, cause) }, anybody, user), counted);
  };
  const client = clientOf('test');
  const around = { clock, random, logger };
  const informers = new Informers({ client, ...around, watchSeconds: WATCH_SECONDS });
  informers.start();
  const partsOf = (name: string): Parts => {
    const own = clientOf(name);
    const its = new Informers({ client: own, ...around, watchSeconds: WATCH_SECONDS });
    its.start();
    return { client: own, informers: its, ...around };
  };
  const running: Informers[] = [informers];
  for (const part of parts) {
    const its = partsOf(part.name);
    running.push(its.informers);
    part.start(its);
  }
  const kubeletParts = kubelet && partsOf('kubelet');
  if (kubeletParts) running.push(kubeletParts.informers);
  const runsPods = kubeletParts && new ScriptedKubelet(kubeletParts, kubelet === true ? {} : kubelet);
  const processes: Process[] = [];
  const spawn = (name: string, sources: readonly ControllerSource[]) => {
    const process = new Process({
      name,
      controllers: sources,
      client: clientOf(name),
      clock,
      logger,
      trace,
      seed: seed + processes.length * 104_729,
      metadataFirst: options.metadataFirst ?? false,
      ...(keep ? { because: (cause: Cause) => clientOf(name, cause) } : {}),
    });
    processes.push(process);
    return process;
  };
  const main = controllers && spawn('controllers', controllers);
  main?.start();
  const hotLoop = () => processes.find((process) => process.hotLoop !== undefined)?.hotLoop;
  const settle = () => letHappen(clock, () => underWay);
  await settle();
  const plain: Omit<World, 'process' | 'kubelet'> = {
    seed,
    clock,
    random,
    logger,
    store,
    client,
    informers,
    trace,
    clientOf: (actor) => clientOf(actor),
    processes,
    spawn,
    async create(type, ...objects) {
      const created = [];
      for (const object of objects) created.push(await client.create(type, object));
      return created;
    },
    apply: (type, object) =>
      client.patch(type, keyOf(object), { type: 'apply', body: object }, { fieldManager: 'test', force: true }),
    patch: (type, key, body, patchOptions) => client.patch(type, key, { type: 'merge', body } as Patch, patchOptions),
    async remove(type, key, deleteOptions) {
      await client.delete(type, key, deleteOptions).catch(unlessNotFound);
    },
    get: (type, key) => client.get(type, key),
    find: (type, key) => client.get(type, key).catch(unlessNotFound),
    list: async (type, namespace) => (await client.list(type, { namespace })).items,
    async pass(time = 0) {
      await settle();
      const ms = milliseconds(time);
      if (ms === 0) return;
      await clock.advance(ms);
      await settle();
    },
    async settle({ quiet = DEFAULT_QUIET, within = DEFAULT_WITHIN } = {}) {
      const limits = { quiet: milliseconds(quiet), within: milliseconds(within) };
      const broken = () => hotLoop() !== undefined;
      if (await untilQuiet({ clock, lastWriteAt: () => ledger.lastWriteAt, ...limits, broken })) return;
      // Of a loop a few turns tell all.
      throw new Error(`${hotLoop() ?? `writes went on for ${within}`}\n${w.timeline(hotLoop() ? TURNS : undefined)}`);
    },
    async until(holds, { within = DEFAULT_WITHIN, what = String(holds) } = {}) {
      const end = clock.now() + milliseconds(within);
      for (;;) {
        await settle();
        if (await holds()) return;
        const due = clock.nextDue();
        if (due === undefined || due > end || hotLoop())
          throw new Error(`${hotLoop() ?? `not within ${within}`}: ${what}\n${w.timeline()}`);
        await clock.advance(Math.max(0, due - clock.now()));
      }
    },
    timeline: (lines = 60) =>
      trace.entries
        .slice(-lines)
        .map((entry) => traceLine(entry, trace.start))
        .join('\n'),
    async close() {
      for (const process of processes) process.crash();
      for (const its of running) its.stop();
      await settle();
      await store.close();
    },
  };
  // Not listed among its properties: a world may be spread into what a controller is started with.
  const w = Object.defineProperties(plain, {
    process: { get: () => main ?? absent('controllers', 'world({ controllers: [...] })') },
    kubelet: { get: () => runsPods ?? absent('kubelet', 'world({ kubelet: true })') },
  }) as World;
  return w;
}

function absent(what: string, how: string): never {
  throw new Error(`this world has no ${what}; ${how} starts some`);
}

function registryOf(options: WorldOptions, around: Around, clock: Clock): Registry {
  const { kinds: given = [], admission = () => [], admissions = [] } = options;
  const named = given.filter((kind): kind is ResourceType => 'resource' in kind);
  const kinds: KindSource[] = [
    kubernetesKinds(),
    ...(named.length > 0 ? [bareKinds(named)] : []),
    ...given.flatMap((kind) => (typeof kind === 'function' ? [kind(around.store)] : 'kinds' in kind ? [kind] : [])),
  ];
  const registry = createRegistry({
    ...(tally ? { tally } : {}),
    ...around,
    clock,
    kinds,
    admission: [namespaceLifecycle(namespacesOf(around.store)), ...admission(around), admissionPlugin(admissions)],
  });
  tally = registry.tally;
  return registry;
}

/** Of all worlds together: nobody reads what is counted in them, and beginning to count is most of what counting costs. */
let tally: Registry['tally'] | undefined;

/** Namespaces as the server's own plugin reads them; one that nobody has made counts as there. */
const namespacesOf = (store: Store): ObjectReader => ({
  get: (resource, namespace, name) => store.pending({ resource, namespace, name })?.object ?? { metadata: { name } },
  list: () => [],
});

/** Kinds known by name have definitions in the store like any others, where somebody may look for them. */
async function define(store: Store, kinds: NonNullable<WorldOptions['kinds']>): Promise<void> {
  const named = kinds.filter((kind): kind is ResourceType => 'resource' in kind);
  if (named.length === 0) return;
  const put = (type: ResourceType): Operation => {
    const object = definitionOf(type);
    const key = {
      resource: 'apiextensions.k8s.io/customresourcedefinitions',
      namespace: '',
      name: object.metadata.name!,
    };
    return { type: 'put', key, object, expect: 0 };
  };
  await store.commit(named.map(put));
}

const keyOf = ({ metadata }: KubeObject): ObjectKey => ({ namespace: metadata.namespace, name: metadata.name ?? '' });

function unlessNotFound(error: unknown): undefined {
  if (!isReason(error, 'NotFound')) throw error;
  return undefined;
}
