import { isatty } from 'node:tty';
import { conditionOf, isControlledBy, isTrue } from '@trimtab/framework';
import { type KubeObject, keyOf, type ResourceType } from '@trimtab/machinery';
import type { PerturbReport } from './perturb/perturb.js';
import { expectStable, type StableOptions } from './stable.js';
import type { Duration } from './world/duration.js';
import type { World } from './world/world.js';

interface Result {
  readonly pass: boolean;
  readonly message: () => string;
}

/** Standard error of the test runner: where failures are read. */
const STDERR = 2;

interface Reported {
  readonly status?: {
    readonly conditions?: readonly { readonly type: string; readonly status: string; readonly reason?: string }[];
  };
}

/** For `expect.extend(matchers)`; importing `@trimtab/testing` types them. */
export const matchers = {
  /** Of a world: it settles, and no controller writes anything for a day. */
  async toBeStable(w: World, options: StableOptions = {}): Promise<Result> {
    try {
      await expectStable(w, options);
      return { pass: true, message: () => 'expected the world to go on changing, but it is stable' };
    } catch (error) {
      return { pass: false, message: () => (error as Error).message };
    }
  },

  /** Of a world: `holds` comes true within that virtual time. */
  async toConvergeWithin(w: World, within: Duration, holds: (w: World) => unknown): Promise<Result> {
    try {
      await w.until(() => holds(w), { within, what: String(holds) });
      return { pass: true, message: () => `expected it not to hold within ${within}: ${String(holds)}` };
    } catch (error) {
      return { pass: false, message: () => (error as Error).message };
    }
  },

  /** Of an object: its status has the condition; `True` unless another status is given. */
  toHaveCondition(object: KubeObject, type: string, status = 'True', reason?: string): Result {
    const conditions = (object as Reported).status?.conditions;
    const found = conditionOf(conditions, type);
    const fits = status === 'True' ? isTrue(conditions, type) : found?.status === status;
    const wanted = `${type}=${status}${reason ? ` (${reason})` : ''}`;
    const has = (conditions ?? []).map((c) => `${c.type}=${c.status}${c.reason ? ` (${c.reason})` : ''}`);
    return {
      pass: fits && (reason === undefined || found?.reason === reason),
      message: () => `${nameOf(object)} and ${wanted}; its conditions are ${has.join(', ') || 'none'}`,
    };
  },

  /** Of a world: the object controls that many of a kind. */
  async toHaveOwned(w: World, owner: KubeObject, type: ResourceType, count: number): Promise<Result> {
    const all = await w.list(type);
    const owned = all.filter((object) => isControlledBy(object, owner));
    return {
      pass: owned.length === count,
      message: () =>
        `${nameOf(owner)} controls ${owned.length} of ${all.length} ${type.resource}, wanted ${count}:\n` +
        all.map((object) => `  ${keyOf(object)}${owned.includes(object) ? '' : ' (not its own)'}`).join('\n'),
    };
  },

  /** Of an object: the named controller's machine is in that state (durable machines keep it on the object). */
  toBeInState(object: KubeObject, controller: string, state: unknown): Result {
    const kept = object.metadata.annotations?.[`state.trimtab.dev/${controller}`];
    const value: unknown = kept === undefined ? undefined : (JSON.parse(kept) as { readonly value: unknown }).value;
    return {
      pass: JSON.stringify(value) === JSON.stringify(state),
      message: () =>
        value === undefined
          ? `${nameOf(object)} keeps no state of ${controller}; only durable machines' states are kept on the object`
          : `${nameOf(object)} is in ${JSON.stringify(value)}, wanted ${JSON.stringify(state)}`,
    };
  },

  /** Of an object: it contains this, metadata the server adds left aside. */
  toMatchObjectState(this: { equals(a: unknown, b: unknown): boolean }, object: KubeObject, wanted: object): Result {
    const different = mismatches(object, wanted, '', (a, b) => this.equals(a, b));
    return {
      pass: different.length === 0,
      message: () => `${nameOf(object)}:\n${different.join('\n') || '  contains all of it'}`,
    };
  },

  /** Of a world: its controllers have asked for nothing that the role made of their declarations does not allow. */
  toStayWithinItsRole(w: World): Result {
    const beyond = w.processes.flatMap((process) => process.beyondRole.map((each) => `${process.name}: ${each}`));
    return {
      pass: beyond.length === 0,
      message: () =>
        beyond.length === 0
          ? 'its controllers were expected to ask for more than they declare'
          : `asked for, and not declared (owns, watches, reads or permissions):\n${beyond.map((each) => `  ${each}`).join('\n')}`,
    };
  },

  /** Of a perturbation report: nothing went otherwise than in a clean run. */
  toHaveNoDivergence(report: PerturbReport): Result {
    const { divergences, plans } = report;
    return {
      pass: divergences.length === 0,
      message: () =>
        divergences.length === 0
          ? `all ${plans} plans end as a clean run does`
          : report.text({ colour: isatty(STDERR) }),
    };
  },
};

const nameOf = (object: KubeObject): string => `${object.kind ?? 'object'} ${keyOf(object)}`;

function mismatches(
  is: unknown,
  wanted: unknown,
  path: string,
  equals: (a: unknown, b: unknown) => boolean,
): readonly string[] {
  const asymmetric = wanted !== null && typeof wanted === 'object' && 'asymmetricMatch' in wanted;
  if (wanted === null || typeof wanted !== 'object' || asymmetric)
    return equals(is, wanted) ? [] : [`  ${path || '.'}: is ${JSON.stringify(is)}, wanted ${JSON.stringify(wanted)}`];
  if (Array.isArray(wanted) && (!Array.isArray(is) || is.length !== wanted.length))
    return [`  ${path}: has ${Array.isArray(is) ? is.length : 'no'} items, wanted ${wanted.length}`];
  return Object.entries(wanted).flatMap(([field, inner]) =>
    mismatches((is as Record<string, unknown> | null | undefined)?.[field], inner, `${path}.${field}`, equals),
  );
}

declare global {
  namespace jest {
    // The names of jest's own type parameters must be repeated.
    // biome-ignore lint/complexity/noBannedTypes: as jest declares it
    interface Matchers<R, T = {}> {
      toBeStable(options?: StableOptions): Promise<R>;
      toConvergeWithin(within: Duration, holds: (w: World) => unknown): Promise<R>;
      toHaveCondition(type: string, status?: string, reason?: string): R;
      toHaveOwned(owner: KubeObject, type: ResourceType, count: number): Promise<R>;
      toBeInState(controller: string, state: unknown): R;
      toMatchObjectState(wanted: object): R;
      toStayWithinItsRole(): R;
      toHaveNoDivergence(): R;
    }
  }
}
