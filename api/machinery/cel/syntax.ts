import type { CelValue } from './values.js';

/**
 * The syntax tree of an expression. `pos` is where cel-go places errors of a node: an operator, a dot, an opening bracket; an
 * offset in UTF-16 units.
 */
export type CelNode =
  | { readonly kind: 'literal'; readonly pos: number; readonly value: CelValue }
  | { readonly kind: 'ident'; readonly pos: number; readonly name: string }
  | {
      readonly kind: 'select';
      readonly pos: number;
      readonly operand: CelNode;
      readonly field: string;
      readonly optional: boolean;
    }
  | {
      readonly kind: 'index';
      readonly pos: number;
      readonly operand: CelNode;
      readonly index: CelNode;
      readonly optional: boolean;
    }
  | CallNode
  | {
      readonly kind: 'list';
      readonly pos: number;
      readonly elements: readonly { readonly value: CelNode; readonly optional: boolean }[];
    }
  | {
      readonly kind: 'map';
      readonly pos: number;
      readonly entries: readonly { readonly key: CelNode; readonly value: CelNode; readonly optional: boolean }[];
    }
  | {
      readonly kind: 'struct';
      readonly pos: number;
      readonly type: string;
      readonly fields: readonly {
        readonly name: string;
        readonly pos: number;
        readonly value: CelNode;
        readonly optional: boolean;
      }[];
    };

/** Operators are calls by their cel-go names: `_+_`, `!_`, `@in`, `_?_:_`. */
export interface CallNode {
  readonly kind: 'call';
  readonly pos: number;
  readonly function: string;
  readonly target?: CelNode;
  readonly args: readonly CelNode[];
}

/** One complaint about an expression and where it is. */
export class CelSyntaxError extends Error {
  constructor(
    readonly pos: number,
    message: string,
  ) {
    super(message);
  }
}

/** Complaints as cel-go shows them: place, text, the line and a caret below it. */
export function formatProblems(
  source: string,
  problems: readonly { readonly pos: number; readonly message: string }[],
): string {
  return [...problems]
    .sort((a, b) => a.pos - b.pos)
    .map(({ pos, message }) => {
      const before = source.slice(0, pos);
      const start = before.lastIndexOf('\n') + 1;
      const end = source.indexOf('\n', pos);
      const line = before.split('\n').length;
      const column = [...source.slice(start, pos)].length;
      const text = source.slice(start, end < 0 ? undefined : end).replaceAll('\t', ' ');
      return `ERROR: <input>:${line}:${column + 1}: ${message}\n | ${text}\n | ${'.'.repeat(column)}^`;
    })
    .join('\n');
}
