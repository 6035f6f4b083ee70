import {
  matchesRequirement,
  type Requirement,
  type RequirementOperator,
  requirement,
  type Selector,
  SelectorError,
} from './requirement.js';

/**
 * Label selectors: the query syntax of `?labelSelector=` and `-l`, and the LabelSelector objects of specs
 * (kubernetes/apimachinery pkg/labels and apis/meta/v1).
 */

export const selectEverything: Selector = { requirements: [] };
export const selectNothing: Selector = { requirements: [], nothing: true };

/** Whether the labels of an object satisfy every requirement. */
export function matchesLabels(selector: Selector, labels: Readonly<Record<string, string>> | undefined): boolean {
  return selector.nothing !== true && selector.requirements.every((each) => matchesRequirement(each, labels));
}

/**
 * Reads the query syntax: `app=web,tier in (a,b),!canary,rank>3`. Requirements come back sorted by key, so equal
 * selectors read to equal data.
 *
 * @throws SelectorError with Kubernetes' message.
 */
export function parseLabelSelector(text: string): Selector {
  const tokens = scan(text);
  const requirements: Requirement[] = [];
  let at = 0;
  const next = () => tokens[at++]!;
  const peek = () => tokens[at]!;

  const fail = (message: string): never => {
    throw new SelectorError(message);
  };

  const parseValues = (): string[] => {
    const open = next();
    if (open.kind !== '(') fail(`found '${open.text}' expected: '('`);
    const values: string[] = [];
    // An empty place between commas or parentheses is the empty string.
    let pending = true;
    for (;;) {
      const token = next();
      if (token.kind === ')') {
        if (pending) values.push('');
        return values;
      }
      if (token.kind === ',') {
        if (pending) values.push('');
        pending = true;
      } else if (isIdentifier(token)) {
        if (!pending) fail(`found '${token.text}', expected: ',' or ')'`);
        values.push(token.text);
        pending = false;
      } else
        fail(
          pending
            ? `found '${token.text}', expected: ',', or identifier`
            : `found '${token.text}', expected: ',' or ')'`,
        );
    }
  };

  const parseExact = (): string[] => {
    const token = peek();
    if (token.kind === 'end' || token.kind === ',') return [''];
    at++;
    return isIdentifier(token) ? [token.text] : fail(`found '${token.text}', expected: identifier`);
  };

  const parseOne = (): Requirement => {
    let token = next();
    const negated = token.kind === '!';
    if (negated) token = next();
    if (!isIdentifier(token)) fail(`found '${token.text}', expected: identifier`);
    const key = token.text;
    requirement(key, 'exists', []);
    if (peek().kind === 'end' || peek().kind === ',') return requirement(key, negated ? '!' : 'exists', []);
    const operator = next();
    const known = negated ? undefined : BINARY[operator.kind];
    if (!known) fail(`found '${operator.text}', expected: in, notin, =, ==, !=, gt, lt`);
    return requirement(key, known!, known === 'in' || known === 'notin' ? parseValues() : parseExact());
  };

  if (peek().kind === 'end') return selectEverything;
  for (;;) {
    const token = peek();
    if (!isIdentifier(token) && token.kind !== '!') {
      fail(
        requirements.length > 0
          ? `found '${token.text}', expected: identifier after ','`
          : `found '${token.text}', expected: !, identifier, or 'end of string'`,
      );
    }
    try {
      requirements.push(parseOne());
    } catch (error) {
      throw error instanceof SelectorError ? new SelectorError(`unable to parse requirement: ${error.message}`) : error;
    }
    const separator = next();
    if (separator.kind === 'end') break;
    if (separator.kind !== ',') fail(`found '${separator.text}', expected: ',' or 'end of string'`);
  }
  requirements.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
  return { requirements };
}

type TokenKind =
  | 'identifier'
  | 'in'
  | 'notin'
  | '('
  | ')'
  | ','
  | '!'
  | '='
  | '=='
  | '!='
  | '>'
  | '<'
  | 'end'
  | 'error';
interface Token {
  readonly kind: TokenKind;
  readonly text: string;
}

/** `in` and `notin` are words that may also be keys and values. */
const isIdentifier = (token: Token): boolean =>
  token.kind === 'identifier' || token.kind === 'in' || token.kind === 'notin';

const BINARY: Partial<Record<TokenKind, RequirementOperator>> = {
  in: 'in',
  notin: 'notin',
  '=': '=',
  '==': '==',
  '!=': '!=',
  '>': 'gt',
  '<': 'lt',
};

const SPECIAL = new Set<string>(['(', ')', ',', '!', '=', '==', '!=', '>', '<']);

function scan(text: string): readonly Token[] {
  const tokens: Token[] = [];
  const pattern = /[ \t\r\n]+|([=!<>(),]+)|([^ \t\r\n=!<>(),]+)/g;
  for (const [, symbols, word] of text.matchAll(pattern)) {
    if (word !== undefined) {
      tokens.push({ kind: word === 'in' || word === 'notin' ? word : 'identifier', text: word });
    } else if (symbols !== undefined) {
      tokens.push(...splitSymbols(symbols));
    }
  }
  tokens.push({ kind: 'end', text: '' });
  return tokens;
}

/** Splits a run of symbol characters into the longest tokens known. */
function splitSymbols(symbols: string): readonly Token[] {
  const tokens: Token[] = [];
  for (let at = 0; at < symbols.length; ) {
    const two = symbols.slice(at, at + 2);
    const text = two.length === 2 && SPECIAL.has(two) ? two : symbols[at]!;
    tokens.push({ kind: text as TokenKind, text });
    at += text.length;
  }
  return tokens;
}

/** The query syntax of a selector; reading it back gives an equal selector. */
export function formatLabelSelector(selector: Selector): string {
  return selector.requirements.map(formatRequirement).join(',');
}

function formatRequirement({ key, operator, values }: Requirement): string {
  switch (operator) {
    case 'exists':
      return key;
    case '!':
      return `!${key}`;
    case 'in':
      return `${key} in (${values.join(',')})`;
    case 'notin':
      return `${key} notin (${values.join(',')})`;
    case 'gt':
      return `${key}>${values[0]}`;
    case 'lt':
      return `${key}<${values[0]}`;
    default:
      return `${key}${operator}${values[0]}`;
  }
}

/** The selector that wants exactly these labels. */
export function selectorFromLabels(labels: Readonly<Record<string, string>> | undefined): Selector {
  const requirements = Object.entries(labels ?? {}).map(
    ([key, value]): Requirement => ({ key, operator: '=', values: [value] }),
  );
  requirements.sort((a, b) => (a.key < b.key ? -1 : 1));
  return { requirements };
}

/** A LabelSelector object as specs hold it. */
export interface LabelSelectorObject {
  readonly matchLabels?: Readonly<Record<string, string>>;
  readonly matchExpressions?: readonly {
    readonly key: string;
    readonly operator: string;
    readonly values?: readonly string[];
  }[];
}

const OBJECT_OPERATORS: Readonly<Record<string, RequirementOperator>> = {
  In: 'in',
  NotIn: 'notin',
  Exists: 'exists',
  DoesNotExist: '!',
};

/**
 * Reads a LabelSelector object. As in Kubernetes an absent one selects nothing and an empty one everything; kinds that
 * mean something else by absence decide before they call.
 *
 * @throws SelectorError with Kubernetes' message.
 */
export function selectorFromObject(object: LabelSelectorObject | null | undefined): Selector {
  if (object === null || object === undefined) return selectNothing;
  const exact = Object.entries(object.matchLabels ?? {}).map(([key, value]) => requirement(key, '=', [value]));
  const expressions = (object.matchExpressions ?? []).map((expression) => {
    const operator = Object.hasOwn(OBJECT_OPERATORS, expression.operator)
      ? OBJECT_OPERATORS[expression.operator]
      : undefined;
    if (!operator) {
      throw new SelectorError(`${JSON.stringify(expression.operator)} is not a valid label selector operator`);
    }
    return requirement(expression.key, operator, expression.values ?? []);
  });
  const requirements = [...exact, ...expressions].sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
  return { requirements };
}
