import { badRequest } from '../status.js';
import type { FieldExtractor, FieldLabels } from './field-labels.js';
import { SelectorError } from './requirement.js';

/** Field selectors: `metadata.name=web,status.phase!=Running` (kubernetes/apimachinery pkg/fields). */

export interface FieldRequirement {
  readonly field: string;
  readonly operator: '=' | '!=';
  readonly value: string;
}

/** Every requirement must hold; none means everything matches. */
export interface FieldSelector {
  readonly requirements: readonly FieldRequirement[];
}

export const everyField: FieldSelector = { requirements: [] };

/**
 * Reads the query syntax; `\,`, `\=` and `\\` stand for themselves in values.
 *
 * @throws SelectorError with Kubernetes' message.
 */
export function parseFieldSelector(text: string): FieldSelector {
  const requirements = splitTerms(text)
    .filter((term) => term !== '')
    .sort()
    .map((term): FieldRequirement => {
      const match = /^(.*?)(!=|==|=)(.*)$/s.exec(term);
      if (!match) throw new SelectorError(`invalid selector: '${text}'; can't understand '${term}'`);
      return { field: match[1]!, operator: match[2] === '!=' ? '!=' : '=', value: unescapeValue(match[3]!) };
    });
  return { requirements };
}

function splitTerms(text: string): string[] {
  return text.match(/(?:\\[\s\S]|[^,\\]|\\$)+/g) ?? [];
}

function unescapeValue(text: string): string {
  return text.replace(/\\([\s\S]?)|([,=])/g, (_, escaped: string | undefined, bare: string | undefined) => {
    if (bare !== undefined) {
      throw new SelectorError(`invalid field selector: unescaped character in value: ${bare.codePointAt(0)}`);
    }
    if (escaped === '\\' || escaped === ',' || escaped === '=') return escaped;
    throw new SelectorError(`invalid field selector: invalid escape sequence: \\${escaped ?? ''}`);
  });
}

/** The query syntax of a field selector; reading it back gives an equal selector. */
export function formatFieldSelector(selector: FieldSelector): string {
  return selector.requirements
    .map(({ field, operator, value }) => `${field}${operator}${value.replace(/[\\,=]/g, '\\$&')}`)
    .join(',');
}

/**
 * Turns a field selector into a predicate over objects, using the labels the resource supports
 * ({@link FieldLabels}; see `fieldLabels`).
 *
 * @throws StatusError 400 `field label not supported: x` for a label the resource does not support.
 */
export function compileFieldSelector(selector: FieldSelector, labels: FieldLabels): (object: object) => boolean {
  const tests = selector.requirements.map(({ field, operator, value }) => {
    const extract: FieldExtractor | undefined = labels.get(field);
    if (!extract) throw badRequest(`field label not supported: ${field}`);
    const wanted = operator === '=';
    return (object: object) => (extract(object) === value) === wanted;
  });
  return (object) => tests.every((holds) => holds(object));
}

/** The value a selector demands of a field, where it demands one: lets a list by name or node use an index. */
export function requiredFieldValue(selector: FieldSelector, field: string): string | undefined {
  return selector.requirements.find((each) => each.operator === '=' && each.field === field)?.value;
}
