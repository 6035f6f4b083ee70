import { Environment } from '@marcbachmann/cel-js';
import fc from 'fast-check';
import { type CelEnvironment, compileCel, isCompileError } from './index.js';

/**
 * The same expressions, in another implementation of CEL: both give the same value, or both give none. What only Kubernetes has
 * is tried in cel.test.ts.
 */
const variables = {
  n: 'int',
  m: 'int',
  s: 'string',
  nums: 'list<int>',
  table: 'map<string, int>',
  on: 'bool',
} as const;
const environment: CelEnvironment = { variables };
const other = new Environment();
for (const [name, type] of Object.entries(variables)) other.registerVariable(name, type);

const { bool, int, text, list } = fc.letrec<{ bool: string; int: string; text: string; list: string }>((tie) => ({
  int: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.constantFrom('0', '1', '2', '7', 'n', 'm'),
    fc.tuple(tie('int'), fc.constantFrom('+', '-', '*', '/', '%'), tie('int')).map(([a, op, b]) => `(${a} ${op} ${b})`),
    fc.tuple(tie('bool'), tie('int'), tie('int')).map(([c, a, b]) => `(${c} ? ${a} : ${b})`),
    tie('text').map((t) => `size(${t})`),
    tie('list').map((l) => `${l}.size()`),
    fc.tuple(tie('list'), fc.constantFrom('0', '1')).map(([l, i]) => `${l}[${i}]`),
    fc.constantFrom('table.a', 'table["b"]', 'table.missing'),
  ),
  text: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.constantFrom('""', '"a"', "'bc'", 's'),
    fc.tuple(tie('text'), tie('text')).map(([a, b]) => `(${a} + ${b})`),
    tie('int').map((i) => `string(${i})`),
  ),
  list: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.constantFrom('[n]', '[1, 2]', 'nums'),
    fc.tuple(tie('list'), tie('list')).map(([a, b]) => `(${a} + ${b})`),
    fc.tuple(tie('list'), tie('bool')).map(([l, p]) => `${l}.filter(x, ${p} || x > 1)`),
    fc.tuple(tie('list'), tie('int')).map(([l, i]) => `${l}.map(x, x + ${i})`),
  ),
  bool: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.constantFrom('true', 'false', 'on', 'has(table.a)', 'has(table.z)', '("a" in table)'),
    fc
      .tuple(tie('bool'), fc.constantFrom('&&', '||', '==', '!='), tie('bool'))
      .map(([a, op, b]) => `(${a} ${op} ${b})`),
    fc
      .tuple(tie('int'), fc.constantFrom('<', '<=', '>', '>=', '==', '!='), tie('int'))
      .map(([a, op, b]) => `(${a} ${op} ${b})`),
    fc
      .tuple(tie('text'), fc.constantFrom('startsWith', 'endsWith', 'contains'), tie('text'))
      .map(([a, f, b]) => `${a}.${f}(${b})`),
    fc
      .tuple(tie('list'), fc.constantFrom('all', 'exists', 'exists_one'), tie('int'))
      .map(([l, f, i]) => `${l}.${f}(x, x > ${i})`),
    fc.tuple(tie('int'), tie('list')).map(([i, l]) => `(${i} in ${l})`),
    tie('bool').map((b) => `!${b}`),
  ),
}));

function mine(source: string, bindings: object): { value: unknown } | undefined {
  const program = compileCel(source, environment, 'bool');
  if (isCompileError(program)) throw new Error(`${source}: ${program.error}`);
  const result = program.evaluate(bindings as Record<string, unknown>);
  return result.error === undefined ? { value: result.value } : undefined;
}

function theirs(source: string, bindings: object): { value: unknown } | undefined {
  try {
    return { value: other.evaluate(source, bindings as Record<string, unknown>) };
  } catch {
    return undefined;
  }
}

test('expressions mean what they mean elsewhere', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        bool,
        fc.tuple(text, int, list).map(([t, i, l]) => `(${t} == string(${i})) != (${i} in ${l})`),
      ),
      fc.integer({ min: -5, max: 5 }),
      fc.integer({ min: -5, max: 5 }),
      fc.array(fc.integer({ min: -3, max: 3 }), { maxLength: 3 }),
      fc.boolean(),
      (source, n, m, numbers, on) => {
        const shared = { s: 'ab', on };
        const own = mine(source, { ...shared, n, m, nums: numbers, table: { a: 1, b: 2 } });
        const reference = theirs(source, {
          ...shared,
          n: BigInt(n),
          m: BigInt(m),
          nums: numbers.map(BigInt),
          table: { a: 1n, b: 2n },
        });
        expect({ source, own }).toEqual({ source, own: reference });
      },
    ),
    { numRuns: 500 },
  );
});
