import { evaluateJsonPath, parseJsonPath } from './jsonpath.js';
import { causes, fieldPath, formatCause } from './path.js';

describe('field paths', () => {
  test('are written as Kubernetes names fields', () => {
    const containers = fieldPath('spec', 'containers');
    expect(containers.index(0).child('name').toString()).toBe('spec.containers[0].name');
    expect(fieldPath('metadata').child('labels').key('app').toString()).toBe('metadata.labels[app]');
    expect(containers.toString()).toBe('spec.containers');
    expect(fieldPath().child('spec').toString()).toBe('spec');
  });

  test.each([
    [causes.required('spec.x'), 'spec.x: Required value'],
    [causes.required('spec.x', 'must be set'), 'spec.x: Required value: must be set'],
    [causes.invalid('spec.replicas', -1, 'too low'), 'spec.replicas: Invalid value: -1: too low'],
    [causes.invalid('a', { b: 'c' }), 'a: Invalid value: {"b":"c"}'],
    [causes.duplicate('a[1]', 'x'), 'a[1]: Duplicate value: "x"'],
    [causes.notFound('a', 'x'), 'a: Not found: "x"'],
    [causes.notSupported('a', 'x', ['y', 'z']), 'a: Unsupported value: "x": supported values: "y", "z"'],
    [causes.forbidden('a', 'may not change'), 'a: Forbidden: may not change'],
    [causes.tooLong('a', 1), 'a: Too long: may not be more than 1 byte'],
    [causes.tooMany('a', 9, 8), 'a: Too many: 9: must have at most 8 items'],
    [causes.typeInvalid('a', true, 'must be a string'), 'a: Invalid value: true: must be a string'],
  ])('%#', (cause, text) => {
    expect(formatCause(cause)).toBe(text);
  });
});

describe('JSONPath', () => {
  const object = {
    metadata: { name: 'web', labels: { 'app.kubernetes.io/name': 'shop', app: 'web' } },
    spec: { replicas: 3, list: [10, 20, 30, 40], containers: [{ name: 'a', image: 'x' }, { name: 'b' }] },
    status: {
      conditions: [
        { type: 'Ready', status: 'True', age: 4 },
        { type: 'Failed', status: 'False', age: 9 },
      ],
    },
  };

  test.each([
    ['.metadata.name', ['web']],
    ['{.metadata.name}', ['web']],
    ['$.metadata.name', ['web']],
    ['metadata.name', ['web']],
    ['.metadata.labels.app\\.kubernetes\\.io/name', ['shop']],
    [".metadata.labels['app.kubernetes.io/name']", ['shop']],
    ['.spec.containers[*].name', ['a', 'b']],
    ['.spec.containers[0].name', ['a']],
    ['.spec.containers[-1].name', ['b']],
    ['.spec.containers[5].name', []],
    ['.spec.containers[*].image', ['x']],
    ['.spec.list[1:3]', [20, 30]],
    ['.spec.list[::2]', [10, 30]],
    ['.spec.list[:-1]', [10, 20, 30]],
    ['.spec.list[0,2]', [10, 30]],
    [".metadata['name','labels'].app", ['web']],
    ['.status.conditions[?(@.type=="Ready")].status', ['True']],
    ["{.status.conditions[?(@.type!='Ready')].status}", ['False']],
    ['.status.conditions[?(@.age > 5)].type', ['Failed']],
    ['.spec.containers[?(@.image)].name', ['a']],
    ['..name', ['web', 'a', 'b']],
    ['.spec.nothing.deeper', []],
    ['.constructor', []],
    ['.metadata.labels.*', ['shop', 'web']],
  ])('%s', (path, expected) => {
    expect(evaluateJsonPath(parseJsonPath(path), object)).toEqual(expected);
  });

  test('the lone dot is the object itself', () => {
    expect(evaluateJsonPath(parseJsonPath('{.}'), object)).toEqual([object]);
  });

  test.each(['.a[', '.a[b]', '.a]', '.a[?(@.x=)]', '..', '.a[0', '.a[::0]', '.a b'])('%p is refused', (path) => {
    expect(() => parseJsonPath(path)).toThrow(/invalid JSONPath/);
  });
});
