import fc from 'fast-check';
import { isReason } from '../status.js';
import { customFieldLabels, fieldLabels } from './field-labels.js';
import { compileFieldSelector, formatFieldSelector, parseFieldSelector, requiredFieldValue } from './fields.js';
import {
  formatLabelSelector,
  matchesLabels,
  parseLabelSelector,
  selectEverything,
  selectorFromLabels,
  selectorFromObject,
} from './labels.js';
import { type RequirementOperator, requirement } from './requirement.js';

const labels = { app: 'web', tier: 'front', rank: '7', 'example.com/role': 'main', in: 'notin' };

describe('label selectors', () => {
  test.each([
    ['', true],
    ['app=web', true],
    ['app==web', true],
    ['app = web , tier = front', true],
    ['app=db', false],
    ['app!=db', true],
    ['missing!=x', true],
    ['app in (db,web)', true],
    ['app in (db, cache)', false],
    ['app notin (db)', true],
    ['missing notin (db)', true],
    ['missing in ()', false],
    ['app', true],
    ['missing', false],
    ['!missing', true],
    ['!app', false],
    ['! missing', true],
    ['rank>6', true],
    ['rank > 7', false],
    ['rank<8', true],
    ['app>1', false],
    ['missing<1', false],
    ['example.com/role=main,app=web', true],
    ['in=notin', true],
    ['in in (in,notin)', true],
    ['app=', false],
    ['missing=', false],
    ['app=web,!missing,tier in (front),rank>1', true],
  ])('%p on the labels is %p', (text, expected) => {
    expect(matchesLabels(parseLabelSelector(text), labels)).toBe(expected);
  });

  test('an inherited property is no label', () => {
    expect(matchesLabels(parseLabelSelector('constructor'), {})).toBe(false);
    expect(matchesLabels(parseLabelSelector('a'), undefined)).toBe(false);
  });

  test.each([
    ['app=b=c', "found '=', expected: ',' or 'end of string'"],
    ['app in a', "unable to parse requirement: found 'a' expected: '('"],
    ['app in (a', "unable to parse requirement: found '', expected: ',' or ')'"],
    ['app in (a b)', "unable to parse requirement: found 'b', expected: ',' or ')'"],
    ['app,', "found '', expected: identifier after ','"],
    [',app', "found ',', expected: !, identifier, or 'end of string'"],
    ['app web', "unable to parse requirement: found 'web', expected: in, notin, =, ==, !=, gt, lt"],
    ['!', "unable to parse requirement: found '', expected: identifier"],
    ['!app=web', "unable to parse requirement: found '=', expected: in, notin, =, ==, !=, gt, lt"],
    [
      'rank>x',
      "unable to parse requirement: values[0]: Invalid value: \"x\": for 'Gt', 'Lt' operators, the value must be an integer",
    ],
  ])('%p is refused with Kubernetes’ message', (text, message) => {
    expect(() => parseLabelSelector(text)).toThrow(message);
  });

  test('keys and values must be well formed', () => {
    expect(() => parseLabelSelector('-a=b')).toThrow(
      /unable to parse requirement: key: Invalid value: "-a": name part must/,
    );
    expect(() => parseLabelSelector('a=b_')).toThrow(
      /values\[0\]\[a\]: Invalid value: "b_": a valid label must be an empty/,
    );
    expect(() => parseLabelSelector(`a=${'x'.repeat(64)}`)).toThrow(/must be no more than 63 bytes/);
    expect(() => parseLabelSelector('/a')).toThrow(/prefix part must be non-empty/);
    expect(() => parseLabelSelector('a/b/c')).toThrow(/with an optional DNS subdomain prefix/);
    expect(() => parseLabelSelector('Example.com/a')).toThrow(/prefix part a lowercase RFC 1123 subdomain/);
  });

  test('LabelSelector objects: absent selects nothing, empty everything', () => {
    expect(matchesLabels(selectorFromObject(undefined), labels)).toBe(false);
    expect(matchesLabels(selectorFromObject(null), labels)).toBe(false);
    expect(matchesLabels(selectorFromObject({}), labels)).toBe(true);
    const object = {
      matchLabels: { app: 'web' },
      matchExpressions: [
        { key: 'tier', operator: 'In', values: ['front', 'back'] },
        { key: 'gone', operator: 'DoesNotExist' },
        { key: 'rank', operator: 'Exists' },
        { key: 'app', operator: 'NotIn', values: ['db'] },
      ],
    };
    const selector = selectorFromObject(object);
    expect(matchesLabels(selector, labels)).toBe(true);
    expect(matchesLabels(selector, { ...labels, gone: '' })).toBe(false);
    expect(formatLabelSelector(selector)).toBe('app=web,app notin (db),!gone,rank,tier in (back,front)');
    expect(() => selectorFromObject({ matchExpressions: [{ key: 'a', operator: 'Near' }] })).toThrow(
      '"Near" is not a valid label selector operator',
    );
    expect(() => selectorFromObject({ matchExpressions: [{ key: 'a', operator: 'In' }] })).toThrow(
      "for 'in', 'notin' operators, values set can't be empty",
    );
  });

  const word = fc.stringMatching(/^[a-z]([-a-z0-9_.]{0,8}[a-z0-9])?$/);
  const requirements = fc.oneof(
    fc
      .tuple(word, fc.constantFrom<RequirementOperator>('=', '==', '!='), fc.oneof(word, fc.constant('')))
      .map(([k, op, v]) => requirement(k, op, [v])),
    fc
      .tuple(
        word,
        fc.constantFrom<RequirementOperator>('in', 'notin'),
        fc.array(fc.oneof(word, fc.constant('')), { minLength: 1 }),
      )
      .map(([k, op, v]) => requirement(k, op, v)),
    fc.tuple(word, fc.constantFrom<RequirementOperator>('exists', '!')).map(([k, op]) => requirement(k, op, [])),
    fc
      .tuple(word, fc.constantFrom<RequirementOperator>('gt', 'lt'), fc.nat())
      .map(([k, op, n]) => requirement(k, op, [String(n)])),
  );

  test('what is written reads back as an equal selector', () => {
    fc.assert(
      fc.property(fc.array(requirements), (list) => {
        const selector = { requirements: [...list].sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0)) };
        expect(parseLabelSelector(formatLabelSelector(selector))).toEqual(selector);
      }),
    );
  });

  test('the selector made of an object’s labels matches that object', () => {
    fc.assert(
      fc.property(fc.dictionary(word, word), (map) => {
        expect(matchesLabels(selectorFromLabels(map), map)).toBe(true);
      }),
    );
    expect(selectorFromLabels(undefined)).toEqual(selectEverything);
  });
});

describe('field selectors', () => {
  const pod = {
    metadata: { name: 'web-1', namespace: 'default' },
    spec: { nodeName: 'n1', hostNetwork: true },
    status: { phase: 'Running', podIP: '10.0.0.5' },
  };
  const matches = (text: string, object: object = pod, group = '', resource = 'pods') =>
    compileFieldSelector(parseFieldSelector(text), fieldLabels(group, resource))(object);

  test.each([
    ['', true],
    ['metadata.name=web-1', true],
    ['metadata.name==web-1,metadata.namespace=default', true],
    ['spec.nodeName=n1,status.phase!=Succeeded,status.phase!=Failed', true],
    ['status.phase!=Running', false],
    ['spec.hostNetwork=true', true],
    ['spec.restartPolicy=', true],
    ['status.podIPs=10.0.0.5', true],
    ['status.nominatedNodeName!=n2', true],
  ])('%p on the pod is %p', (text, expected) => {
    expect(matches(text)).toBe(expected);
  });

  test('a label the resource does not support is a 400', () => {
    expect.assertions(2);
    try {
      matches('spec.nodeName=n1', {}, '', 'configmaps');
    } catch (error) {
      expect(isReason(error, 'BadRequest')).toBe(true);
      expect((error as Error).message).toBe('field label not supported: spec.nodeName');
    }
  });

  test('absent numbers and flags read as zero and false', () => {
    expect(matches('spec.unschedulable=false', {}, '', 'nodes')).toBe(true);
    expect(matches('status.replicas=0', {}, '', 'replicationcontrollers')).toBe(true);
    expect(matches('status.successful=3', { status: { succeeded: 3 } }, 'batch', 'jobs')).toBe(true);
  });

  test('events are selected alike through both of their groups', () => {
    const core = {
      involvedObject: { kind: 'Pod', name: 'web-1', uid: 'u' },
      reason: 'Started',
      source: { component: 'kubelet' },
    };
    expect(matches('involvedObject.name=web-1,involvedObject.uid=u,source=kubelet', core, '', 'events')).toBe(true);
    expect(matches('regarding.name=web-1,reason=Started', core, 'events.k8s.io', 'events')).toBe(true);
    const modern = { regarding: { kind: 'Pod', name: 'web-1' }, reportingController: 'scheduler' };
    expect(matches('involvedObject.kind=Pod,reportingComponent=scheduler,source=scheduler', modern, '', 'events')).toBe(
      true,
    );
  });

  test('custom resources are selected by their selectable fields', () => {
    const custom = customFieldLabels([{ jsonPath: '.spec.color' }, { jsonPath: '.spec.size' }]);
    const holds = compileFieldSelector(parseFieldSelector('spec.color=blue,spec.size!=3'), custom);
    expect(holds({ spec: { color: 'blue', size: 4 } })).toBe(true);
    expect(holds({ spec: { color: 'blue', size: 3 } })).toBe(false);
    expect(holds({})).toBe(false);
  });

  test('malformed text is refused', () => {
    expect(() => parseFieldSelector('metadata.name')).toThrow(
      "invalid selector: 'metadata.name'; can't understand 'metadata.name'",
    );
    expect(() => parseFieldSelector('a=b=c')).toThrow('invalid field selector: unescaped character in value: 61');
    expect(() => parseFieldSelector('a=\\x')).toThrow('invalid field selector: invalid escape sequence: \\x');
  });

  test('values with commas, equal signs and backslashes round trip', () => {
    fc.assert(
      fc.property(fc.string(), fc.constantFrom('=', '!=' as const), (value, operator) => {
        const selector = { requirements: [{ field: 'metadata.name', operator: operator as '=' | '!=', value }] };
        expect(parseFieldSelector(formatFieldSelector(selector))).toEqual(selector);
      }),
    );
    expect(requiredFieldValue(parseFieldSelector('a!=x,metadata.name=y'), 'metadata.name')).toBe('y');
    expect(requiredFieldValue(parseFieldSelector('metadata.name!=y'), 'metadata.name')).toBeUndefined();
  });
});
