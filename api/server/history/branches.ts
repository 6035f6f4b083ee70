import { badRequest, conflict, type KubeObject, notFound, StatusError } from '@trimtab/machinery';
import { type Commit, forkStore, type Operation, type Snapshot, type Store } from '@trimtab/store';
import type { Registry } from '../registry/context.js';
import { kindFinder } from './changes.js';
import { byObject, foldWrites, type PastWrite, type Plan, planOf, type Step, type Wish } from './plan.js';
import { recordedStore as recorded } from './recorded-store.js';

/** A branch's API while it is there: what serves its requests, and what acts on it. */
export interface RunningBranch {
  readonly registry: Registry;
  /** Ends its watches, controllers and nodes. */
  stop(): Promise<void>;
}

/** Serves a store as a branch; `written` is the same store, for the requests of people. */
export type StartBranch = (name: string, store: Store, written: Store) => Promise<RunningBranch>;

export interface Branch {
  readonly name: string;
  /** The state it began with, which it shares. */
  readonly base: Snapshot;
  /** Unix milliseconds. */
  readonly createdAt: number;
  readonly store: Store;
  readonly running: RunningBranch;
  /** What people have written on it, oldest first. */
  readonly writes: readonly PastWrite[];
}

export interface BranchLimits {
  /** At the same time; default 8. */
  readonly branches?: number;
  /** By people, on one branch, that a merge has to remember; default 10,000. */
  readonly writes?: number;
}

const NAME = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;

/** What a branch keeps of its own past: it lives for an experiment, not for good. */
const RETENTION = { commits: 10_000, bytes: 16 * 1024 * 1024, ageMs: 24 * 3_600_000 };

/** Nobody merges what happened, or who holds what at the moment. */
const FLEETING: ReadonlySet<string> = new Set(['/events', 'events.k8s.io/events', 'coordination.k8s.io/leases']);

/** The branches of a cluster's state: in memory, bounded in number, gone with the process. */
export class Branches {
  readonly #branches = new Map<string, Branch>();
  /** Names of what is being made. */
  readonly #making = new Set<string>();
  readonly #ending = new Set<Promise<void>>();

  constructor(
    readonly parts: Pick<Registry, 'store' | 'kinds' | 'clock'>,
    readonly start: StartBranch,
    readonly limits: BranchLimits = {},
  ) {}

  list(): readonly Branch[] {
    return [...this.#branches.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  find(name: string): Branch | undefined {
    return this.#branches.get(name);
  }

  get(name: string): Branch {
    const branch = this.#branches.get(name);
    if (!branch) throw notFound({ group: '', resource: 'branches' }, name);
    return branch;
  }

  /** Resolves when its API answers. */
  async create(name: string, base: Snapshot = this.parts.store.snapshot()): Promise<Branch> {
    if (!NAME.test(name))
      throw badRequest(`${JSON.stringify(name)} is no name for a branch: lower-case letters, digits and '-' are`);
    const most = this.limits.branches ?? 8;
    if (this.#branches.has(name) || this.#making.has(name))
      throw conflict({ group: '', resource: 'branches' }, name, 'there is a branch of that name');
    if (new Set([...this.#branches.keys(), ...this.#making]).size >= most)
      throw new StatusError({
        code: 429,
        reason: 'TooManyRequests',
        message: `there are ${most} branches already, which is as many as may be; delete one`,
      });
    this.#making.add(name);
    try {
      const branch = await this.#make(name, base);
      this.#branches.set(name, branch);
      return branch;
    } finally {
      this.#making.delete(name);
    }
  }

  async delete(name: string): Promise<void> {
    const branch = this.get(name);
    this.#branches.delete(name);
    await end(branch);
  }

  /** The branch as it would be if it were made now; what was written on it is gone. Where that fails it stays as it was. */
  async reset(name: string, base: Snapshot = this.parts.store.snapshot()): Promise<Branch> {
    const former = this.get(name);
    if (this.#making.has(name)) throw conflict({ group: '', resource: 'branches' }, name, 'it is being reset already');
    this.#making.add(name);
    try {
      const branch = await this.#make(name, base);
      this.#branches.set(name, branch);
      const ending = end(former).finally(() => this.#ending.delete(ending));
      this.#ending.add(ending);
      // Nobody waits for it, and nobody uses it any more.
      ending.catch(() => {});
      return branch;
    } finally {
      this.#making.delete(name);
    }
  }

  async close(): Promise<void> {
    const all = this.list();
    this.#branches.clear();
    await Promise.all([...all.map(end), ...this.#ending]);
  }

  /** What a merge into `present` would do: people's writes on the branch, against the state it began with. */
  plan({ base, store, writes }: Branch, present: Snapshot): Plan {
    const most = this.limits.writes ?? 10_000;
    if (writes.length >= most) throw badRequest(`${most} writes or more were made on the branch: too many to merge`);
    const wishes = byObject(writes).map((of): Wish => {
      const { kind, key } = of[0]!;
      const served = (entry: { readonly object: KubeObject } | undefined) =>
        entry && kind.storage.fromStorage(entry.object);
      const was = served(base.get(key));
      return { kind, key, base: was, mine: foldWrites(of, was), theirs: served(present.get(key)) };
    });
    const plan = planOf(wishes);
    return { ...plan, steps: plan.steps.map((step) => withStatus(step, store)).map(withoutGiven) };
  }

  async #make(name: string, base: Snapshot): Promise<Branch> {
    const { clock } = this.parts;
    const store = await forkStore(base, { clock, retention: RETENTION });
    const writes: PastWrite[] = [];
    const most = this.limits.writes ?? 10_000;
    let running: RunningBranch | undefined;
    const record = (operations: readonly Operation[], commit: Commit) => {
      if (!running || writes.length >= most) return;
      writes.push(...writesOf(store, running.registry, operations, commit));
    };
    running = await this.start(name, store, recorded(store, record));
    return { name, base, createdAt: clock.now(), store, running, writes };
  }
}

async function end({ running, store }: Branch): Promise<void> {
  await running.stop();
  await store.close();
}

function writesOf(store: Store, { kinds }: Registry, operations: readonly Operation[], commit: Commit): PastWrite[] {
  const find = kindFinder(kinds);
  const before = operations.length > 0 ? store.snapshot(Math.max(commit.revision - 1, store.compacted)) : undefined;
  return operations.flatMap(({ type, key }, i): PastWrite[] => {
    const kind = type === 'check' || FLEETING.has(key.resource) ? undefined : find(key.resource);
    if (!kind) return [];
    const was = before!.get(key)?.object;
    const is = type === 'put' ? commit.entries[i]?.object : undefined;
    if (!was && !is) return [];
    const served = (object: KubeObject | undefined) => object && kind.storage.fromStorage(object);
    return [{ key, kind, before: served(was), after: served(is) }];
  });
}

/** A definition is served once its status says so, and objects of its kind may come with it. */
function withStatus(step: Step, store: Store): Step {
  if (step.key.resource !== 'apiextensions.k8s.io/customresourcedefinitions' || !step.object) return step;
  const { status } = (store.snapshot().get(step.key)?.object ?? {}) as { readonly status?: unknown };
  return status === undefined ? step : { ...step, object: { ...step.object, status } as KubeObject };
}

/** Addresses that a branch has given out are the branch's: the cluster gives its own. */
function withoutGiven(step: Step): Step {
  if (step.action !== 'create' || step.key.resource !== '/services') return step;
  const { spec } = step.object as KubeObject & { readonly spec?: Readonly<Record<string, unknown>> };
  if (!spec || spec.clusterIP === 'None') return step;
  const { clusterIP: _, clusterIPs: __, ...rest } = spec;
  return { ...step, object: { ...step.object!, spec: rest } as KubeObject };
}
