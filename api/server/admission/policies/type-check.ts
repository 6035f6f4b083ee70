import {
  builtinResources,
  type CelType,
  type CustomResourceDefinition,
  type ExpressionWarning,
  type ParamKind,
  parseApiVersion,
  schemaFor,
  schemaType,
  type ValidatingAdmissionPolicy,
} from '@trimtab/machinery';
import type { ObjectReader } from '../../contracts.js';
import { compileValidating } from './compiled-policy.js';
import type { Expression } from './expressions.js';
import { typeOfSchema } from './schema-types.js';

/** More kinds than that are not looked at. */
const mostTypes = 10;

interface Known {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  readonly resource: string;
  readonly type: () => CelType | undefined;
}

/**
 * What the expressions of a policy get wrong for the kinds its rules name outright (kubernetes: validating TypeChecker):
 * fields that are not there, types that do not fit. A policy with a warning is in force all the same.
 */
export function typeWarnings(policy: ValidatingAdmissionPolicy, reader: ObjectReader): readonly ExpressionWarning[] {
  const kinds = knownKinds(reader);
  const params = policy.spec?.paramKind && paramType(policy.spec.paramKind, kinds);
  const found = new Map<string, string[]>();
  const note = (fieldRef: string, gvk: string, expression: Expression | undefined) => {
    if (expression?.problem === undefined) return;
    const text = `${gvk}: ${expression.problem.replace(/^compilation failed: /, '')}\n`;
    found.set(fieldRef, [...(found.get(fieldRef) ?? []), text]);
  };
  for (const { group, version, kind, type } of subjects(policy, kinds)) {
    const object = type();
    if (!object) continue;
    const gvk = `${group}/${version}, Kind=${kind}`;
    const { validations } = compileValidating(policy, { object, ...(params ? { params } : {}) });
    for (const [i, { expression, message }] of validations.entries()) {
      note(`spec.validations[${i}].expression`, gvk, expression);
      note(`spec.validations[${i}].messageExpression`, gvk, message);
    }
  }
  return [...found].map(([fieldRef, texts]) => ({ fieldRef, warning: texts.join('\n') }));
}

function subjects({ spec }: ValidatingAdmissionPolicy, kinds: readonly Known[]): readonly Known[] {
  const chosen = new Set<Known>();
  for (const rule of spec?.matchConstraints?.resourceRules ?? [])
    for (const known of kinds)
      if (
        rule.apiGroups?.includes(known.group) &&
        rule.apiVersions?.includes(known.version) &&
        rule.resources?.includes(known.resource)
      )
        chosen.add(known);
  return [...chosen].slice(0, mostTypes);
}

function paramType({ apiVersion = '', kind = '' }: ParamKind, kinds: readonly Known[]): CelType | undefined {
  const { group, version } = parseApiVersion(apiVersion);
  return kinds.find((k) => k.group === group && k.version === version && k.kind === kind)?.type();
}

function knownKinds(reader: ObjectReader): readonly Known[] {
  const builtin = builtinResources().map(({ type }) => ({
    ...type,
    type: () => {
      const schema = schemaFor(type);
      return schema && typeOfSchema(schema, type.kind);
    },
  }));
  const custom = [...reader.list('apiextensions.k8s.io/customresourcedefinitions')].flatMap((object) => {
    const { spec } = object as CustomResourceDefinition;
    return spec.versions.map(({ name, schema }) => ({
      group: spec.group,
      version: name,
      kind: spec.names.kind,
      resource: spec.names.plural,
      type: () => schema?.openAPIV3Schema && schemaType(schema.openAPIV3Schema, spec.names.kind, true),
    }));
  });
  return [...builtin, ...custom];
}
