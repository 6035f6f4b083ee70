import type { KubeObject, StatusCause } from '@trimtab/machinery';
import type { Reservation, Strategy } from '../../contracts.js';
import type { Causes } from './checks.js';

/** What a kind says of itself, with its own type; {@link strategyFor} makes the registry's strategy of it. */
export interface KindRules<T extends KubeObject> {
  /** All that the others look at, beside the name; see {@link Strategy.judged}. */
  readonly judged?: (object: T) => unknown;
  readonly placed?: (object: T, old: T) => boolean;
  readonly default?: (object: T) => T;
  readonly prepareForCreate?: (object: T) => T;
  readonly prepareForUpdate?: (object: T, old: T, subresource: string) => T;
  /** Rules that hold for every stored object. */
  readonly validate?: (object: T, out: Causes) => void;
  /** What may not change; not asked for writes to `/status`. */
  readonly validateChange?: (object: T, old: T, out: Causes, subresource: string) => void;
  readonly warnings?: (object: T) => readonly string[];
  readonly reserve?: (object: T, old?: T) => Reservation & { readonly object: T };
}

/**
 * The registry hands every strategy objects decoded by its kind's schema; this is the one place where that promise becomes a
 * static type. On update all rules of create hold too, except when only the status is written.
 */
export function strategyFor<T extends KubeObject>(rules: KindRules<T>): Strategy {
  const {
    judged,
    placed,
    default: fill,
    prepareForCreate,
    prepareForUpdate,
    validate,
    validateChange,
    warnings,
    reserve,
  } = rules;
  const collect = (run: (out: Causes) => void): readonly StatusCause[] => {
    const out: Causes = [];
    run(out);
    return out;
  };
  return {
    ...(judged ? { judged: (object) => judged(object as T) } : {}),
    ...(placed ? { placed: (object, old) => placed(object as T, old as T) } : {}),
    ...(fill ? { default: (object) => fill(object as T) } : {}),
    ...(prepareForCreate ? { prepareForCreate: (object) => prepareForCreate(object as T) } : {}),
    ...(prepareForUpdate
      ? { prepareForUpdate: (object, old, subresource) => prepareForUpdate(object as T, old as T, subresource) }
      : {}),
    ...(validate ? { validate: (object) => collect((out) => validate(object as T, out)) } : {}),
    ...(validate || validateChange
      ? {
          validateUpdate: (object, old, subresource) =>
            subresource === 'status'
              ? []
              : collect((out) => {
                  validateChange?.(object as T, old as T, out, subresource);
                  validate?.(object as T, out);
                }),
        }
      : {}),
    ...(warnings ? { warnings: (object) => warnings(object as T) } : {}),
    ...(reserve ? { reserve: (object, old) => reserve(object as T, old as T | undefined) } : {}),
  };
}
