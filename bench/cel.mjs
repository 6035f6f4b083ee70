/**
 * What CEL rules cost: compiling, and evaluating simple and less simple ones, on one core. The yardstick is 100,000 simple
 * rule evaluations a second.
 */
import { compileCel, isCompileError, schemaType } from '@trimtab/machinery';

const self = schemaType({
  type: 'object',
  properties: {
    replicas: { type: 'integer' },
    max: { type: 'integer' },
    name: { type: 'string', maxLength: 63 },
    ports: {
      type: 'array',
      maxItems: 20,
      items: { type: 'object', properties: { name: { type: 'string', maxLength: 15 }, port: { type: 'integer' } } },
    },
  },
});
const environment = { variables: { self, oldSelf: self } };
const object = {
  replicas: 3,
  max: 10,
  name: 'web-frontend',
  ports: Array.from({ length: 10 }, (_, i) => ({ name: `p${i}`, port: 8000 + i })),
};
const rules = {
  'two fields compared': 'self.replicas <= self.max',
  'immutable field': 'self.name == oldSelf.name',
  'optional field': '!has(self.max) || self.max > 0',
  'text and pattern': "self.name.startsWith('web') && self.name.matches('^[a-z-]+$')",
  'list of ten, all': 'self.ports.all(p, p.port > 1024 && p.port < 65536)',
  'list of ten, unique': 'self.ports.all(p, self.ports.exists_one(q, q.name == p.name))',
};

const median = (values) => values.toSorted((a, b) => a - b)[values.length >> 1];

console.log(`${'rule'.padEnd(24)}${'compile µs'.padStart(12)}${'evaluations/s'.padStart(16)}${'cost'.padStart(8)}`);
for (const [name, source] of Object.entries(rules)) {
  const compiled = [];
  let program;
  for (let i = 0; i < 200; i++) {
    const start = performance.now();
    program = compileCel(source, environment, 'bool');
    compiled.push((performance.now() - start) * 1000);
  }
  if (isCompileError(program)) throw new Error(program.error);
  const bindings = { self: object, oldSelf: object };
  const { value, cost } = program.evaluate(bindings);
  if (value !== true) throw new Error(`${name}: ${value}`);
  const rates = [];
  for (let round = 0; round < 9; round++) {
    let count = 0;
    const start = performance.now();
    while (performance.now() - start < 100) for (let i = 0; i < 100; i++, count++) program.evaluate(bindings);
    rates.push((count / (performance.now() - start)) * 1000);
  }
  console.log(
    `${name.padEnd(24)}${median(compiled).toFixed(1).padStart(12)}${Math.round(median(rates)).toLocaleString('en').padStart(16)}${String(cost).padStart(8)}`,
  );
}
