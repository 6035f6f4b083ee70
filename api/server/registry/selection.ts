import {
  badRequest,
  compileFieldSelector,
  type KubeObject,
  matchesLabels,
  parseFieldSelector,
  parseLabelSelector,
  requiredFieldValue,
  type Selector,
  SelectorError,
} from '@trimtab/machinery';
import type { ServedKind } from './served-kind.js';

/** A label and field selector made into one question. */
export interface Selection {
  /** Nothing is filtered. */
  readonly everything: boolean;
  /** Set where a field selector demands this very name. */
  readonly name?: string;
  /** The value a field selector demands of a field, where it does. */
  demands?(field: string): string | undefined;
  /** Labels that an object must carry with one value each; there may be more to it. */
  readonly labels?: readonly { readonly key: string; readonly value: string }[];
  matches(object: KubeObject): boolean;
}

const all: Selection = { everything: true, matches: () => true };

/** Throws BadRequest for selectors that do not parse or name fields the kind cannot be selected by. */
export function selectionOf(
  kind: ServedKind,
  namespace: string,
  options: { readonly labelSelector?: string; readonly fieldSelector?: string },
): Selection {
  if (!options.labelSelector && !options.fieldSelector) return all;
  try {
    const labels = options.labelSelector ? parseLabelSelector(options.labelSelector) : undefined;
    const fields = options.fieldSelector ? parseFieldSelector(options.fieldSelector) : undefined;
    const byFields = fields && compileFieldSelector(fields, kind.fieldLabels);
    const elsewhere = fields && requiredFieldValue(fields, 'metadata.namespace');
    if (kind.namespaced && namespace !== '' && elsewhere !== undefined && elsewhere !== namespace)
      return { everything: false, matches: () => false };
    return {
      everything: false,
      name: fields && requiredFieldValue(fields, 'metadata.name'),
      ...(fields ? { demands: (field: string) => requiredFieldValue(fields, field) } : {}),
      ...(labels ? { labels: singleValues(labels) } : {}),
      matches: (object) =>
        (!labels || matchesLabels(labels, object.metadata.labels)) && (!byFields || byFields(object)),
    };
  } catch (error) {
    if (error instanceof SelectorError) throw badRequest(`unable to parse requirement: ${error.message}`);
    throw error;
  }
}

function singleValues({ requirements }: Selector): { readonly key: string; readonly value: string }[] {
  return requirements
    .filter(
      ({ operator, values }) => (operator === '=' || operator === '==' || operator === 'in') && values.length === 1,
    )
    .map(({ key, values }) => ({ key, value: values[0]! }));
}

/** The one name a list or watch asks for, `""` where it asks for more: such requests are authorized as for that name. */
export function nameSelected(fieldSelector: string | null | undefined): string {
  if (!fieldSelector) return '';
  try {
    return requiredFieldValue(parseFieldSelector(fieldSelector), 'metadata.name') ?? '';
  } catch (error) {
    // What is wrong with it is told when it is used.
    if (error instanceof SelectorError) return '';
    throw error;
  }
}
