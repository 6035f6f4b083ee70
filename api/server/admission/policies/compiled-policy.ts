import type {
  AuditAnnotation,
  CelType,
  MutatingAdmissionPolicy,
  Mutation,
  ValidatingAdmissionPolicy,
  Validation,
} from '@trimtab/machinery';
import { variablesOf } from './environment.js';
import { compile, compileConditions, type Expression, type NamedExpression } from './expressions.js';
import type { AnyPolicy } from './policy-index.js';

/** What is known of the objects a policy sees, for type checking; nothing otherwise. */
export interface KnownTypes {
  readonly object?: CelType;
  readonly params?: CelType;
}

/** A policy's expressions, compiled. */

export interface CompiledPolicy {
  readonly conditions: readonly NamedExpression[];
  readonly variables: readonly NamedExpression[];
  /** What expressions after the variables may name. */
  readonly scope: Readonly<Record<string, CelType>>;
}

export interface CompiledValidation {
  readonly validation: Validation;
  readonly expression: Expression;
  readonly message?: Expression;
}

export interface CompiledValidatingPolicy extends CompiledPolicy {
  readonly validations: readonly CompiledValidation[];
  readonly annotations: readonly { readonly annotation: AuditAnnotation; readonly expression: Expression }[];
}

export interface CompiledMutation {
  readonly type: 'ApplyConfiguration' | 'JSONPatch';
  readonly expression: Expression;
}

export interface CompiledMutatingPolicy extends CompiledPolicy {
  readonly mutations: readonly CompiledMutation[];
}

const anything: CelType = { kind: 'dyn' };

export function compilePolicy({ spec }: AnyPolicy, types: KnownTypes = {}): CompiledPolicy {
  const { object: objectType = anything, params = anything } = types;
  const options = { objectType, ...(spec?.paramKind ? { params } : {}) };
  const conditions = compileConditions(spec?.matchConditions, variablesOf(options));
  const known = new Map<string, CelType>();
  const variables: NamedExpression[] = [];
  const scope = () => variablesOf({ ...options, namespaceObject: true, variables: new Map(known) });
  for (const { name, expression } of spec?.variables ?? []) {
    const compiled = compile(expression, scope());
    variables.push({ name, expression: compiled });
    // One that does not compile is complained of once, not wherever it is used.
    known.set(name, compiled.program?.type ?? anything);
  }
  return { conditions, variables, scope: scope() };
}

export function compileValidating(policy: ValidatingAdmissionPolicy, types?: KnownTypes): CompiledValidatingPolicy {
  const base = compilePolicy(policy, types);
  const { authorizer: _, 'authorizer.requestResource': __, ...unauthorized } = base.scope;
  return {
    ...base,
    validations: (policy.spec?.validations ?? []).map((validation) => ({
      validation,
      expression: compile(validation.expression, base.scope, 'bool'),
      ...(validation.messageExpression
        ? { message: compile(validation.messageExpression, unauthorized, 'string') }
        : {}),
    })),
    annotations: (policy.spec?.auditAnnotations ?? []).map((annotation) => ({
      annotation,
      expression: compile(annotation.valueExpression, base.scope, ['string', 'null']),
    })),
  };
}

export function compileMutating(policy: MutatingAdmissionPolicy): CompiledMutatingPolicy {
  const base = compilePolicy(policy);
  return {
    ...base,
    mutations: (policy.spec?.mutations ?? []).map((mutation) => ({
      type: mutation.patchType as CompiledMutation['type'],
      expression: compileMutation(mutation, base.scope),
    })),
  };
}

/** `Object`, `Object.spec`, `Object.spec.template` …: what they hold is checked when it is merged. */
const structs = (name: string) => (name === 'Object' || name.startsWith('Object.') ? 'dyn' : undefined);

const string: CelType = { kind: 'string' };
const jsonPatch = {
  kind: 'object',
  name: 'JSONPatch',
  fields: new Map(
    [
      ['op', string],
      ['path', string],
      ['from', string],
      ['value', anything],
    ].map(([json, type]) => [json as string, { json: json as string, type: type as CelType }]),
  ),
} as const;

function compileMutation(
  { patchType, applyConfiguration, jsonPatch: patch }: Mutation,
  scope: CompiledPolicy['scope'],
): Expression {
  if (patchType === 'ApplyConfiguration')
    return compile(applyConfiguration?.expression ?? '', scope, 'Object', structs);
  const made = compile(patch?.expression ?? '', scope, undefined, (name) =>
    name === 'JSONPatch' ? jsonPatch : structs(name),
  );
  if (!made.program || isPatchList(made.program.type)) return made;
  return { source: made.source, problem: 'must evaluate to list(JSONPatch)' };
}

const isPatchList = (type: CelType): boolean =>
  type.kind === 'list' &&
  (type.element.kind === 'param' ||
    type.element.kind === 'dyn' ||
    (type.element.kind === 'object' && type.element.name === 'JSONPatch'));
