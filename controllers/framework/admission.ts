import type { KubeObject, ResourceType } from '@trimtab/machinery';
import { type Draft, Immer } from 'immer';

const immer = new Immer({ autoFreeze: false });

/** Rules of a kind, beside its controller. Pure. */
export interface Admission<T extends KubeObject = KubeObject> {
  readonly for: ResourceType<T>;
  /** Default create and update. */
  readonly on?: readonly ('CREATE' | 'UPDATE' | 'DELETE')[];
  /** Fills in and sets right; must come to rest: what it made, it leaves. */
  readonly mutate?: (draft: Draft<T>, request: AdmissionContext<T>) => void;
  /** What is wrong, one line each. */
  readonly validate?: (object: T, request: AdmissionContext<T>) => readonly string[];
}

export interface AdmissionContext<T extends KubeObject> {
  readonly operation: 'CREATE' | 'UPDATE' | 'DELETE';
  /** Before an update or a deletion. */
  readonly old: T | undefined;
  readonly user: string;
  readonly dryRun: boolean;
}

export const admission = <T extends KubeObject>(definition: Admission<T>): Admission =>
  definition as unknown as Admission;

/** Who asks, and what for: what an {@link AdmissionContext} is made of, and the kind. */
export interface AdmissionQuestion {
  readonly kind: Pick<ResourceType, 'group' | 'kind'>;
  readonly operation: string;
  readonly object: KubeObject | undefined;
  readonly old: KubeObject | undefined;
  readonly user: string;
  readonly dryRun: boolean;
}

export type AdmissionVerdict = { readonly object: KubeObject | undefined } | { readonly refused: string };

/** What rules say, wherever they are asked. What throws refuses: a rule that cannot be held against an object does not let it through. */
export function admit(
  admissions: readonly Admission[],
  phase: 'mutate' | 'validate',
  question: AdmissionQuestion,
): AdmissionVerdict {
  const { kind, old, user, dryRun } = question;
  const operation = question.operation as AdmissionContext<KubeObject>['operation'];
  const context: AdmissionContext<KubeObject> = { operation, old, user, dryRun };
  const object = operation === 'DELETE' ? old : question.object;
  const rules = admissions.filter(
    ({ for: type, on = ['CREATE', 'UPDATE'] }) =>
      type.kind === kind.kind && type.group === kind.group && on.includes(operation),
  );
  if (!object || rules.length === 0) return { object };
  try {
    if (phase === 'mutate')
      return {
        object: rules.reduce(
          (at, { mutate }) => (mutate ? immer.produce(at, (draft) => void mutate(draft, context)) : at),
          object,
        ),
      };
    const faults = rules.flatMap((rule) => rule.validate?.(object, context) ?? []);
    return faults.length === 0 ? { object } : { refused: faults.join('; ') };
  } catch (error) {
    return { refused: error instanceof Error ? error.message : String(error) };
  }
}
