import fc from 'fast-check';
import type { Json } from '../object.js';
import { duplicateFields } from './duplicates.js';
import { accepts, MediaType, parseMediaRanges } from './negotiate.js';
import { parseYaml, parseYamlDocuments, stringifyYaml, YamlError } from './yaml.js';

const file = `# a comment
apiVersion: v1
kind: Service
metadata:
  name: a
spec:
  ports:
  - port: 80
    name: http
  - port: 81
---
---
# nothing but a comment
---
kind: ConfigMap
data: {a: b}
`;

describe('reading', () => {
  test('a file of several documents, empty ones left out, with lines', () => {
    const documents = parseYamlDocuments(file);
    expect(documents.map((d) => [d.line, (d.value as { kind: string }).kind])).toEqual([
      [2, 'Service'],
      [15, 'ConfigMap'],
    ]);
    const [service] = documents;
    expect(service!.lineOf(['spec', 'ports', 1, 'port'])).toBe(10);
    expect(service!.lineOf(['spec', 'ports', 0])).toBe(8);
    expect(service!.lineOf(['metadata', 'labels', 'x'])).toBe(4);
    expect(service!.lineOf(['kind'])).toBe(3);
  });

  test.each([
    ['on', true],
    ['yes', true],
    ['No', false],
    ['off', false],
    ['true', true],
    ['y', 'y'],
    ['n', 'n'],
    ['0777', 511],
    ['0o17', 15],
    ['0x1F', 31],
    ['0b11', 3],
    ['1_000', 1000],
    ['-12', -12],
    ['+5', 5],
    ['1e3', 1000],
    ['.5', 0.5],
    ['1.10', 1.1],
    ['~', null],
    ['null', null],
    ['2001-01-01', '2001-01-01'],
    ['12:30:45', '12:30:45'],
    ['08', 8],
    ['1.2.3', '1.2.3'],
    ['"on"', 'on'],
    ['100m', '100m'],
    ['!!binary aGk=', 'hi'],
    ['!!str 1', '1'],
  ])('the scalar %s', (text, value) => expect(parseYaml(`a: ${text}`)).toEqual({ a: value }));

  test('keys are strings; anchors and merges are followed', () => {
    expect(parseYaml('n: 1\n2: b\non: c\nx: &x {p: 1}\ny: {<<: *x, q: 2}')).toEqual({
      n: 1,
      '2': 'b',
      true: 'c',
      x: { p: 1 },
      y: { p: 1, q: 2 },
    });
  });

  test('JSON is read as JSON, and indented JSON lists as YAML', () => {
    expect(parseYaml('\n {"a": [1, "on"], "b": 1.0}')).toEqual({ a: [1, 'on'], b: 1 });
    expect(parseYaml('{a: on, b: [1,]}')).toEqual({ a: true, b: [1] });
  });

  test('the last of two equal names counts, and they are reported with path and line', () => {
    const [yaml] = parseYamlDocuments('spec:\n  a:\n  - x: 1\n    x: 2\n  a2: 1\nspec: {a: 1, a: 2}\n');
    expect(yaml!.value).toEqual({ spec: { a: 2 } });
    expect(yaml!.duplicates).toEqual([
      { field: 'spec.a[0].x', line: 4, message: 'duplicate field "spec.a[0].x"' },
      { field: 'spec', line: 6, message: 'duplicate field "spec"' },
      { field: 'spec.a', line: 6, message: 'duplicate field "spec.a"' },
    ]);
    expect(parseYamlDocuments('{"a":{"b":1,"b":2}}')[0]!.duplicates[0]!.message).toBe('duplicate field "a.b"');
  });

  test('errors name the file and the line', () => {
    const broken = 'a: 1\nb:\n  - c\n d: 2\n';
    expect(() => parseYaml(broken, 'x.yaml')).toThrow(/^error parsing x\.yaml: yaml: line \d: /);
    expect(() => parseYaml('a: .inf')).toThrow('yaml: line 1: .inf cannot be written in JSON');
    expect(() => parseYaml('a: 1\n---\nb: 1', 'two')).toThrow(
      'error parsing two: yaml: line 3: expected a single document',
    );
    try {
      parseYaml('a: 1\n\tb: 2');
      throw new Error('not refused');
    } catch (e) {
      expect(e).toBeInstanceOf(YamlError);
      expect((e as YamlError).line).toBe(2);
    }
  });

  test('text nested beyond all reason is refused, not run into the ground', () => {
    expect(() => duplicateFields('['.repeat(2000) + ']'.repeat(2000))).toThrow('json: exceeded max depth of 1000');
    expect(() => parseYaml(`a: ${'['.repeat(20_000)}${']'.repeat(20_000)}`)).toThrow(YamlError);
    expect(() => parseYaml('['.repeat(2000) + ']'.repeat(2000))).toThrow('exceeded max depth');
  });

  test('an alias bomb is refused', () => {
    const levels = Array.from(
      { length: 12 },
      (_, i) =>
        `a${i}: &a${i} [${Array(9)
          .fill(i === 0 ? 'x' : `*a${i - 1}`)
          .join(', ')}]`,
    );
    expect(() => parseYaml(levels.join('\n'))).toThrow(/alias/i);
  });
});

describe('writing', () => {
  test('as kubectl prints', () => {
    const object = {
      kind: 'Pod',
      apiVersion: 'v1',
      spec: { containers: [{ name: 'a', args: ['on', '0777', 'y', '1', '1e3', 'x: y', ''] }], list: [], map: {} },
      data: 'two\nlines\n',
      z: null,
      big: 1234567,
    };
    expect(stringifyYaml(object)).toBe(`apiVersion: v1
big: 1234567
data: |
  two
  lines
kind: Pod
spec:
  containers:
  - args:
    - "on"
    - "0777"
    - y
    - "1"
    - "1e3"
    - "x: y"
    - ""
    name: a
  list: []
  map: {}
z: null
`);
    expect(parseYaml(stringifyYaml(object))).toEqual(object);
  });
});

describe('any JSON value', () => {
  const json = fc.jsonValue({ noUnicodeString: false }).map((v) => JSON.parse(JSON.stringify(v)) as Json);

  test('comes back from YAML as it went', () => {
    fc.assert(
      fc.property(json, (value) => void expect(parseYaml(stringifyYaml({ value }))).toEqual({ value })),
      { numRuns: 500, seed: 1 },
    );
  });

  test('words that YAML reads as something else come back as words', () => {
    const word = fc.stringMatching(/^[-+.0-9a-zA-Z_:~#&*!|> \n]{1,8}$/);
    fc.assert(
      fc.property(word, word, (a, b) => void expect(parseYaml(stringifyYaml({ [a]: b }))).toEqual({ [a]: b })),
      { numRuns: 1000, seed: 1 },
    );
  });

  test('has no name twice', () => {
    fc.assert(
      fc.property(json, (value) => void expect(duplicateFields(JSON.stringify(value))).toEqual([])),
      { numRuns: 500, seed: 1 },
    );
  });
});

describe('duplicate names in JSON', () => {
  test('are found with their path, whatever the strings contain', () => {
    const json = '{"a":"{\\"a\\":1}","b":[{"c":1,"d":[],"c":2},{"c":1}],"\\u0061":1,"e":{"f":{},"f":[]},"e":null}';
    expect(duplicateFields(json)).toEqual([
      'duplicate field "b[0].c"',
      'duplicate field "a"',
      'duplicate field "e.f"',
      'duplicate field "e"',
    ]);
    expect(duplicateFields('{"a\\"b":"}","c":{"a\\"b":1},"a\\"b":2}')).toEqual(['duplicate field "a"b"']);
    expect(duplicateFields('{"a":{"x":1},"b":{"x":1},"c":"\\\\"}')).toEqual([]);
  });
});

describe('media types', () => {
  test('are read in order of quality', () => {
    const ranges = parseMediaRanges(
      'application/json;q=0.5, application/json;as=Table;v=v1;g=meta.k8s.io,*/*;q=0.1,text/html;q=0',
    );
    expect(ranges.map((r) => [r.type, r.parameters, r.quality])).toEqual([
      ['application/json', { as: 'Table', v: 'v1', g: 'meta.k8s.io' }, 1],
      ['application/json', {}, 0.5],
      ['*/*', {}, 0.1],
    ]);
    expect(accepts(parseMediaRanges('application/*')[0]!, MediaType.protobuf)).toBe(true);
    expect(accepts(parseMediaRanges('text/*')[0]!, MediaType.json)).toBe(false);
  });
});
