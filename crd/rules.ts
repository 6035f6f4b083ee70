import {
  type CelCompileError,
  type CelProgram,
  type CelType,
  compileCel,
  isCompileError,
  type JSONSchemaProps,
  leastBytes,
  MAX_REQUEST_BYTES,
  schemaType,
  type ValidationRule,
} from '@trimtab/machinery';

/** A rule made ready, or what is wrong with it. */
export interface CompiledRule {
  readonly rule: ValidationRule;
  readonly index: number;
  readonly program: CelProgram | CelCompileError;
  readonly message?: CelProgram | CelCompileError;
  /** It reads oldSelf: it judges changes, and is left out where there is nothing to compare with. */
  readonly transition: boolean;
}

/** The rules of one place in a schema, and of the places below it. */
export interface RuleNode {
  readonly props: JSONSchemaProps;
  readonly type: CelType | undefined;
  readonly rules: readonly CompiledRule[];
  readonly properties: ReadonlyMap<string, RuleNode>;
  readonly items?: RuleNode;
  readonly values?: RuleNode;
}

/** All `x-kubernetes-validations` of a schema, compiled; undefined where it has none. */
export function compileRules(props: JSONSchemaProps, root = true): RuleNode | undefined {
  if (!hasRules(props)) return undefined;
  return nodeOf(props, root);
}

const found = new WeakMap<JSONSchemaProps, boolean>();

function hasRules(props: JSONSchemaProps): boolean {
  let known = found.get(props);
  if (known === undefined) {
    known = (props['x-kubernetes-validations']?.length ?? 0) > 0 || childrenOf(props).some(hasRules);
    found.set(props, known);
  }
  return known;
}

const childrenOf = ({ properties, items, additionalProperties }: JSONSchemaProps): readonly JSONSchemaProps[] => [
  ...Object.values(properties ?? {}),
  ...[items, additionalProperties].filter(isSchema),
];

function nodeOf(props: JSONSchemaProps, root: boolean): RuleNode {
  const { properties, items, additionalProperties } = props;
  const given = props['x-kubernetes-validations'] ?? [];
  const type = given.length > 0 ? schemaType(props, 'selfType', root) : undefined;
  return {
    props,
    type,
    rules: given.map((rule, index) => compileRule(rule, index, type)),
    properties: new Map(
      Object.entries(properties ?? {})
        .filter(([, child]) => hasRules(child))
        .map(([name, child]) => [name, nodeOf(child, false)]),
    ),
    ...(isSchema(items) && hasRules(items) ? { items: nodeOf(items, false) } : {}),
    ...(isSchema(additionalProperties) && hasRules(additionalProperties)
      ? { values: nodeOf(additionalProperties, false) }
      : {}),
  };
}

function compileRule(rule: ValidationRule, index: number, type: CelType | undefined): CompiledRule {
  if (type === undefined)
    return {
      rule,
      index,
      transition: false,
      program: { error: 'rules are not supported where the schema leaves the type open', wrongType: false },
    };
  const oldSelf: CelType = rule.optionalOldSelf ? { kind: 'optional', of: type } : type;
  const variables = { self: type, oldSelf };
  const program = compileCel(rule.rule ?? '', { variables }, 'bool');
  const { messageExpression } = rule;
  return {
    rule,
    index,
    program,
    transition: !isCompileError(program) && program.variables.has('oldSelf'),
    ...(messageExpression ? { message: compileCel(messageExpression, { variables }, 'string') } : {}),
  };
}

/** How many values of a schema fit into one request, beside each other. */
export const cardinalityOf = (props: JSONSchemaProps): number =>
  Math.floor(MAX_REQUEST_BYTES / (leastBytes(props) + 1));

export const isSchema = (value: unknown): value is JSONSchemaProps =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
