import {
  type CustomResourceDefinition,
  CustomResourceDefinitions,
  type JSONSchemaProps,
  type ResourceType,
  type StatusCause,
  type UnknownObject,
  type ValidationRule,
  validateValue,
} from '@trimtab/machinery';
import { evaluateRules } from './evaluate-rules.js';
import { compileRules } from './rules.js';
import { cluster } from './testing.js';
import { validateDefinition } from './validate-definition.js';

const Gates: ResourceType<UnknownObject> = {
  group: 'example.com',
  version: 'v1',
  kind: 'Gate',
  resource: 'gates',
  namespaced: true,
};

const gates = (spec: JSONSchemaProps, more: object = {}): CustomResourceDefinition => ({
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: 'gates.example.com' },
  spec: {
    group: 'example.com',
    scope: 'Namespaced',
    names: { plural: 'gates', kind: 'Gate' },
    versions: [
      {
        name: 'v1',
        served: true,
        storage: true,
        schema: { openAPIV3Schema: { type: 'object', properties: { spec } } },
        ...more,
      },
    ],
  },
});

const gate = (spec: unknown): UnknownObject => ({
  apiVersion: 'example.com/v1',
  kind: 'Gate',
  metadata: { namespace: 'default', name: 'g' },
  spec,
});

const ruled = (rules: readonly ValidationRule[], more: object = {}): JSONSchemaProps => ({
  type: 'object',
  properties: {
    min: { type: 'integer' },
    max: { type: 'integer' },
    mode: { type: 'string', maxLength: 10 },
    ports: {
      type: 'array',
      maxItems: 10,
      'x-kubernetes-list-type': 'map',
      'x-kubernetes-list-map-keys': ['name'],
      items: {
        type: 'object',
        required: ['name'],
        properties: { name: { type: 'string', maxLength: 10 }, n: { type: 'integer' } },
        'x-kubernetes-validations': [{ rule: 'self.n >= oldSelf.n', message: 'ports only grow' }],
      },
    },
    either: { 'x-kubernetes-int-or-string': true },
  },
  'x-kubernetes-validations': rules,
  ...more,
});

const texts = (causes: readonly StatusCause[]): readonly string[] =>
  causes.map(({ field, message }) => `${field}: ${message}`);

const judged = (rules: readonly ValidationRule[], spec: unknown, old?: unknown): readonly string[] => {
  const node = compileRules({ type: 'object', properties: { spec: ruled(rules) } })!;
  return texts(evaluateRules(node, { spec }, old === undefined ? undefined : { spec: old }));
};

const refused = (spec: JSONSchemaProps, more: object = {}): readonly string[] =>
  texts(validateDefinition(gates(spec, more)));

const RULES = 'spec.validation.openAPIV3Schema.properties[spec].x-kubernetes-validations[0]';

describe('rules of custom kinds', () => {
  const fits = { rule: 'self.min <= self.max' };

  test.each<[string, ValidationRule, object, string | undefined]>([
    ['holds', fits, { min: 1, max: 2 }, undefined],
    ['fails', fits, { min: 3, max: 2 }, 'spec: Invalid value: "object": failed rule: self.min <= self.max'],
    [
      'says its message',
      { ...fits, message: 'too small' },
      { min: 3, max: 2 },
      'spec: Invalid value: "object": too small',
    ],
    [
      'makes its message',
      { ...fits, message: 'x', messageExpression: '"%d is over %d".format([self.min, self.max])' },
      { min: 3, max: 2 },
      'spec: Invalid value: "object": 3 is over 2',
    ],
    [
      'falls back where the expression fails',
      { ...fits, message: 'too small', messageExpression: 'self.mode' },
      { min: 3, max: 2 },
      'spec: Invalid value: "object": too small',
    ],
    [
      'falls back where the text is too long',
      { ...fits, message: 'short', messageExpression: `self.mode.replace("a", "${'b'.repeat(2000)}")` },
      { min: 3, max: 2, mode: 'aaaa' },
      'spec: Invalid value: "object": short',
    ],
    [
      'names a field and a reason',
      { ...fits, fieldPath: '.max', reason: 'FieldValueForbidden', message: 'no' },
      { min: 3, max: 2 },
      'spec.max: Forbidden: no',
    ],
    [
      'meets an error',
      { rule: 'self.min <= self.max', message: 'hm' },
      { min: 3 },
      'spec: Invalid value: "object": no such key: max evaluating rule: hm',
    ],
    [
      'meets a type it did not expect',
      { rule: 'self.either + 1 > 1' },
      { either: 'x' },
      'spec: Invalid value: "object": \'no such overload\': call arguments did not match a supported operator, function or macro signature for rule: self.either + 1 > 1',
    ],
  ])('a rule that %s', (_what, rule, spec, expected) => {
    expect(judged([rule], spec)).toEqual(expected === undefined ? [] : [expected]);
  });

  test('judge changes only where there is something to compare with', () => {
    const rule = { rule: 'self.mode == oldSelf.mode', message: 'mode is immutable' };
    expect(judged([rule], { mode: 'a' })).toEqual([]);
    expect(judged([rule], { mode: 'b' }, { mode: 'a' })).toEqual(['spec: Invalid value: "object": mode is immutable']);
    const optional = {
      rule: 'oldSelf.hasValue() || self.mode == "new"',
      optionalOldSelf: true,
      message: 'starts as new',
    };
    expect(judged([optional], { mode: 'a' })).toEqual(['spec: Invalid value: "object": starts as new']);
    expect(judged([optional], { mode: 'a' }, { mode: 'a' })).toEqual([]);
  });

  test('find what an element of a list was by its keys', () => {
    const old = {
      ports: [
        { name: 'a', n: 5 },
        { name: 'b', n: 1 },
      ],
    };
    expect(
      judged(
        [],
        {
          ports: [
            { name: 'b', n: 2 },
            { name: 'a', n: 4 },
            { name: 'c', n: 0 },
          ],
        },
        old,
      ),
    ).toEqual(['spec.ports[1]: Invalid value: "object": ports only grow']);
  });

  test('stop when they have cost too much', () => {
    const props: JSONSchemaProps = {
      type: 'object',
      properties: { list: { type: 'array', items: { type: 'integer' } } },
      'x-kubernetes-validations': [
        { rule: 'self.list.all(x, self.list.all(y, x + y >= 0))' },
        { rule: 'false', message: 'never reached' },
      ],
    };
    const list = Array.from({ length: 3000 }, () => 1);
    expect(texts(evaluateRules(compileRules(props)!, { list }, undefined))).toEqual([
      expect.stringMatching(
        /'operation cancelled: actual cost limit exceeded': no further validation rules will be run due to call cost exceeds limit for rule: self\.list/,
      ),
    ]);
  });

  test('that no longer hold are let be where nothing changed', () => {
    const rule = { rule: 'self.min <= self.max' };
    expect(judged([rule], { min: 3, max: 2 }, { min: 3, max: 2 })).toEqual([]);
    expect(judged([rule], { min: 4, max: 2 }, { min: 3, max: 2 })).toHaveLength(1);
  });
});

describe('a schema that became stricter', () => {
  const props: JSONSchemaProps = {
    type: 'object',
    properties: {
      name: { type: 'string', maxLength: 3 },
      other: { type: 'integer' },
      map: { type: 'object', additionalProperties: { type: 'string', enum: ['a'] } },
      set: { type: 'array', items: { type: 'string' }, 'x-kubernetes-list-type': 'set' },
    },
  };
  test('leaves alone what was there, and judges what is new', () => {
    const old = { name: 'long name', other: 1, map: { x: 'bad' } };
    expect(validateValue(props, { ...old, other: 2 }, undefined, old)).toEqual([]);
    expect(validateValue(props, { ...old, name: 'longer name' }, undefined, old)).toHaveLength(1);
    expect(validateValue(props, { ...old, map: { x: 'bad', y: 'bad' } }, undefined, old).map((c) => c.field)).toEqual([
      'map[y]',
    ]);
  });
  test('still refuses duplicates', () => {
    const old = { set: ['a', 'a'] };
    expect(validateValue(props, { ...old, other: 2 }, undefined, old)).toHaveLength(1);
  });
});

describe('definitions whose rules cannot be used', () => {
  test.each<[string, ValidationRule, string]>([
    ['is empty', { rule: ' ' }, 'rule: Required value: rule is not specified'],
    [
      'names an unknown field',
      { rule: 'self.nope > 1' },
      'rule: Invalid value: "self.nope > 1": compilation failed: ERROR: <input>:1:5: undefined field \'nope\'\n | self.nope > 1\n | ....^',
    ],
    ['gives no bool', { rule: 'self.min' }, 'rule: Invalid value: "self.min": cel expression must evaluate to a bool'],
    [
      'has a message over lines',
      { rule: 'true', message: 'a\nb' },
      'message: Invalid value: "a\\nb": message must not contain line breaks',
    ],
    [
      'is long and says nothing',
      { rule: 'true &&\ntrue' },
      'message: Required value: message must be specified if rule contains line breaks',
    ],
    [
      'makes no text',
      { rule: 'true', messageExpression: 'self.min' },
      'messageExpression: Invalid value: "self.min": messageExpression must evaluate to a string',
    ],
    [
      'has an unknown reason',
      { rule: 'true', reason: 'Because' },
      'reason: Unsupported value: "Because": supported values: "FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired"',
    ],
    [
      'points nowhere',
      { rule: 'true', fieldPath: '.nope' },
      'fieldPath: Invalid value: ".nope": fieldPath must be a valid path: does not refer to a valid field',
    ],
    [
      'asks for an old value it does not use',
      { rule: 'true', optionalOldSelf: true },
      'optionalOldSelf: Invalid value: true: may not be set if oldSelf is not used in rule',
    ],
  ])('a rule that %s', (_what, rule, expected) => {
    expect(refused(ruled([rule]))).toEqual([`${RULES}.${expected}`]);
  });

  test('rules that may cost too much are told by how much, and what to do', () => {
    const spec: JSONSchemaProps = {
      type: 'object',
      properties: { list: { type: 'array', items: { type: 'string' } } },
      'x-kubernetes-validations': [{ rule: 'self.list.all(x, self.list.all(y, x == y))' }],
    };
    expect(refused(spec)).toEqual([
      `${RULES}.rule: Forbidden: estimated rule cost exceeds budget by factor of more than 100x (try simplifying the rule, or adding maxItems, maxProperties, and maxLength where arrays, maps, and strings are declared)`,
      expect.stringContaining(`${RULES}.rule: Forbidden: contributed to estimated rule cost total`),
      expect.stringContaining(
        'spec.validation.openAPIV3Schema: Forbidden: x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema exceeds',
      ),
    ]);
  });

  test('rules about changes need elements that can be told apart', () => {
    const spec: JSONSchemaProps = {
      type: 'object',
      properties: {
        list: {
          type: 'array',
          items: { type: 'string', maxLength: 5, 'x-kubernetes-validations': [{ rule: 'self == oldSelf' }] },
          maxItems: 5,
        },
      },
    };
    expect(refused(spec)).toEqual([
      expect.stringContaining(
        'oldSelf cannot be used on the uncorrelatable portion of the schema within spec.validation.openAPIV3Schema.properties[spec].properties[list].items',
      ),
    ]);
  });

  test.each<[string, JSONSchemaProps, string]>([
    [
      'list without keys',
      { type: 'array', items: { type: 'object' }, 'x-kubernetes-list-type': 'map' },
      'x-kubernetes-list-map-keys: Required value: must not be empty if x-kubernetes-list-type is map',
    ],
    [
      'set of objects',
      { type: 'array', items: { type: 'object' }, 'x-kubernetes-list-type': 'set' },
      'items.x-kubernetes-map-type: Required value: must be atomic as item of a list with x-kubernetes-list-type=set',
    ],
    ['list of nothing', { type: 'array' }, 'items: Required value: must be specified'],
    [
      'shape in a combination',
      { type: 'object', properties: { a: { type: 'string' } }, allOf: [{ properties: { a: { type: 'string' } } }] },
      'allOf[0].properties[a].type: Forbidden: must be empty to be structural',
    ],
    [
      'field only in a combination',
      { type: 'object', anyOf: [{ properties: { a: { minLength: 1 } } }] },
      'properties[a]: Required value: because it is defined in spec.validation.openAPIV3Schema.properties[spec].anyOf[0].properties[a]',
    ],
    [
      'int or string with a type',
      { type: 'string', 'x-kubernetes-int-or-string': true },
      'type: Invalid value: "string": must be empty if x-kubernetes-int-or-string is true',
    ],
    [
      'default that does not fit',
      { type: 'object', properties: { a: { type: 'string', default: 1 } } },
      'properties[a].default: Invalid value: 1: spec.validation.openAPIV3Schema.properties[spec].properties[a].default in body must be of type string: "integer"',
    ],
    [
      'default with unknown fields',
      { type: 'object', default: { b: 1 }, properties: { a: { type: 'string' } } },
      'default: Invalid value: {"b":1}: must not have unknown fields',
    ],
    [
      'embedded object without fields',
      { type: 'object', 'x-kubernetes-embedded-resource': true },
      'properties: Required value: must not be empty if x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields',
    ],
  ])('%s', (_what, spec, expected) => {
    expect(refused(spec)).toEqual([`spec.validation.openAPIV3Schema.properties[spec].${expected}`]);
  });

  test('columns, subresources and selectable fields are looked at', () => {
    const more = {
      additionalPrinterColumns: [{ name: 'A', type: 'strange', jsonPath: 'spec' }],
      subresources: { scale: { specReplicasPath: '.status.n', statusReplicasPath: '.status.n' } },
      selectableFields: [{ jsonPath: '.spec.nope' }, { jsonPath: '.spec.mode' }, { jsonPath: '.spec.mode' }],
    };
    expect(refused(ruled([]), more)).toEqual([
      'spec.subresources.scale.specReplicasPath: Invalid value: ".status.n": should be a json path under .spec',
      'spec.additionalPrinterColumns[0].type: Invalid value: "strange": must be one of boolean,date,integer,number,string',
      'spec.additionalPrinterColumns[0].jsonPath: Invalid value: "spec": is an invalid path: path must start with . or [',
      'spec.selectableFields[0].jsonPath: Invalid value: ".spec.nope": is an invalid path: does not refer to a valid field',
      'spec.selectableFields[2].jsonPath: Duplicate value: ".spec.mode"',
    ]);
  });
});

describe('a server with such a kind', () => {
  test('holds objects against its rules on create and update, and selects by its fields', async () => {
    const { client, pass } = await cluster();
    const spec = ruled([
      { rule: 'self.min <= self.max' },
      { rule: 'self.mode == oldSelf.mode', message: 'mode is immutable' },
    ]);
    await client.create(CustomResourceDefinitions, gates(spec, { selectableFields: [{ jsonPath: '.spec.mode' }] }));
    await pass();
    await expect(client.create(Gates, gate({ min: 2, max: 1 }))).rejects.toMatchObject({
      code: 422,
      message: 'Gate.example.com "g" is invalid: spec: Invalid value: "object": failed rule: self.min <= self.max',
    });
    await expect(client.create(Gates, gate({ min: 'x', max: 1 }))).rejects.toMatchObject({
      message: expect.stringContaining('some validation rules were not checked because the object was invalid'),
    });
    const made = await client.create(Gates, gate({ min: 1, max: 2, mode: 'a' }));
    await expect(client.update(Gates, { ...made, spec: { min: 1, max: 2, mode: 'b' } })).rejects.toMatchObject({
      message: expect.stringContaining('mode is immutable'),
    });
    expect((await client.list(Gates, { fieldSelector: 'spec.mode=a' })).items).toHaveLength(1);
    expect((await client.list(Gates, { fieldSelector: 'spec.mode=b' })).items).toHaveLength(0);
    await client.deleteCollection(Gates, { namespace: 'default', fieldSelector: 'spec.mode=b' });
    expect((await client.list(Gates)).items).toHaveLength(1);
  });
});
