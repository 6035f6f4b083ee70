import {
  CelBudget,
  CelOptional,
  type CelResult,
  causes,
  celFromJson,
  correlated,
  equalJson,
  FieldPath,
  isCompileError,
  type StatusCause,
  type ValidationRule,
} from '@trimtab/machinery';
import type { CompiledRule, RuleNode } from './rules.js';

/** The longest message a messageExpression may make. */
const MAX_MESSAGE = 5 * 1024;

/**
 * Holds an object against its schema's rules in Kubernetes' words and order (apiextensions-apiserver pkg/apiserver/schema/cel).
 * `old` is what it was, or undefined when it is new. Where a value has not changed, only rules that judge changes may complain.
 */
export function evaluateRules(node: RuleNode, value: unknown, old: unknown, budget = new CelBudget()): StatusCause[] {
  const causes: StatusCause[] = [];
  walk({ causes, budget, spent: false }, node, value, old, new FieldPath());
  return causes;
}

interface Walk {
  readonly causes: StatusCause[];
  readonly budget: CelBudget;
  /** Nothing more is evaluated. */
  spent: boolean;
}

function walk(state: Walk, node: RuleNode, value: unknown, old: unknown, at: FieldPath): void {
  if (value === undefined || value === null) return;
  if (node.rules.length > 0) judge(state, node, value, old, at);
  if (Array.isArray(value)) {
    if (node.items === undefined) return;
    const before = correlated(node.props, old);
    for (let i = 0; i < value.length && !state.spent; i++)
      walk(state, node.items, value[i], before(value[i]), at.index(i));
    return;
  }
  if (typeof value !== 'object') return;
  const was = (typeof old === 'object' && old !== null ? old : {}) as Record<string, unknown>;
  for (const [name, item] of Object.entries(value)) {
    if (state.spent) return;
    const known = node.properties.get(name);
    if (known !== undefined) walk(state, known, item, was[name], at.child(name));
    else if (node.values !== undefined) walk(state, node.values, item, was[name], at.key(name));
  }
}

function judge(state: Walk, node: RuleNode, value: unknown, old: unknown, at: FieldPath): void {
  const kind = kindOf(node);
  let unchanged: boolean | undefined;
  const refuse = (detail: string) => state.causes.push(causes.invalid(at, kind, detail));
  for (const compiled of node.rules) {
    if (state.spent) return;
    const { rule, program, transition } = compiled;
    const optional = rule.optionalOldSelf === true;
    if (transition && old === undefined && !optional) continue;
    if (!transition && old !== undefined) {
      unchanged ??= equalJson(value, old);
      if (unchanged) continue;
    }
    if (isCompileError(program)) {
      refuse(`rule compile error: ${program.error}`);
      continue;
    }
    const self = () => celFromJson(value, node.type);
    const oldSelf = () => {
      if (!optional) return celFromJson(old, node.type);
      return old === undefined ? CelOptional.none : new CelOptional(celFromJson(old, node.type));
    };
    const bindings = { self, oldSelf };
    const result = program.evaluate(bindings, state.budget);
    if (result.error !== undefined) complain(state, result, rule, refuse);
    else if (result.value !== true)
      state.causes.push(causeOf(compiled, at, kind, messageOf(state, compiled, bindings)));
  }
}

function complain(
  state: Walk,
  { error, exceeded }: Extract<CelResult, { error: string }>,
  rule: ValidationRule,
  refuse: (detail: string) => void,
): void {
  state.spent = exceeded !== undefined;
  const text = ruleText(rule);
  if (exceeded === 'budget') refuse(error);
  else if (exceeded === 'call')
    refuse(`'${error}': no further validation rules will be run due to call cost exceeds limit for rule: ${text}`);
  else if (error.startsWith('no such overload'))
    refuse(
      `'${error}': call arguments did not match a supported operator, function or macro signature for rule: ${text}`,
    );
  else refuse(`${error} evaluating rule: ${text}`);
}

const ruleText = ({ message, rule }: ValidationRule): string => (message ? message.trim() : rule.trim());

/** What a user reads: the expression's text where it makes one, the given message, or the rule itself. */
function messageOf(state: Walk, { rule, message }: CompiledRule, bindings: Readonly<Record<string, unknown>>): string {
  if (message !== undefined && !isCompileError(message)) {
    const result = message.evaluate(bindings, state.budget);
    if (result.error !== undefined) state.spent = result.exceeded !== undefined;
    else if (typeof result.value === 'string') {
      const text = result.value.trim();
      if (text !== '' && !text.includes('\n') && Buffer.byteLength(text) <= MAX_MESSAGE) return text;
    }
  }
  return rule.message ? rule.message.trim() : `failed rule: ${rule.rule.trim()}`;
}

function causeOf({ rule }: CompiledRule, at: FieldPath, kind: string, detail: string): StatusCause {
  const where = rule.fieldPath ? new FieldPath(`${at}${rule.fieldPath}`.replace(/^\./, '')) : at;
  switch (rule.reason) {
    case 'FieldValueRequired':
      return causes.required(where, detail);
    case 'FieldValueForbidden':
      return causes.forbidden(where, detail);
    case 'FieldValueDuplicate':
      return causes.duplicate(where, kind);
    default:
      return causes.invalid(where, kind, detail);
  }
}

/** Whole values are not repeated in messages, only what they are. */
const kindOf = ({ props }: RuleNode): string => (props['x-kubernetes-int-or-string'] ? '' : (props.type ?? 'object'));
