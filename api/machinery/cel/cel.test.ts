import fc from 'fast-check';
import {
  AuthorizerValue,
  CelBudget,
  type CelEnvironment,
  type CelResult,
  celToJson,
  compileCel,
  isCompileError,
  schemaType,
} from './index.js';

const schema = schemaType({
  type: 'object',
  properties: {
    a: { type: 'integer' },
    b: { type: 'integer' },
    name: { type: 'string', maxLength: 10 },
    ratio: { type: 'number' },
    on: { type: 'boolean' },
    list: { type: 'array', maxItems: 5, items: { type: 'integer' } },
    set: { type: 'array', items: { type: 'string' }, 'x-kubernetes-list-type': 'set' },
    ports: {
      type: 'array',
      items: { type: 'object', properties: { name: { type: 'string' }, n: { type: 'integer' } } },
      'x-kubernetes-list-type': 'map',
      'x-kubernetes-list-map-keys': ['name'],
    },
    labels: { type: 'object', additionalProperties: { type: 'string' } },
    port: { 'x-kubernetes-int-or-string': true },
    when: { type: 'string', format: 'date-time' },
    wait: { type: 'string', format: 'duration' },
    data: { type: 'string', format: 'byte' },
    nothing: { type: 'string', nullable: true },
    'a-b.c': { type: 'integer' },
    namespace: { type: 'string' },
    free: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
  },
})!;
const environment: CelEnvironment = { variables: { self: schema, oldSelf: schema, any: 'dyn' } };

const self = {
  a: 3,
  b: 4,
  name: 'web',
  ratio: 2,
  on: true,
  list: [3, 1, 2],
  set: ['x', 'y'],
  ports: [
    { name: 'p', n: 1 },
    { name: 'q', n: 2 },
  ],
  labels: { app: 'x', 'a/b': 'y' },
  port: '80%',
  when: '2024-02-29T12:00:00Z',
  wait: '90s',
  data: 'aGk=',
  nothing: null,
  'a-b.c': 7,
  namespace: 'n',
};
const oldSelf = { ...self, set: ['y', 'x'], ports: [...self.ports].reverse(), b: 5 };

function run(source: string, bindings: object = {}, env = environment): unknown {
  const program = compileCel(source, env);
  if (isCompileError(program)) return program.error;
  const result = program.evaluate({ self, oldSelf, any: self, ...bindings });
  return result.error ?? celToJson(result.value);
}

const costOf = (source: string, bindings: object = {}): number => {
  const program = compileCel(source, environment);
  if (isCompileError(program)) throw new Error(program.error);
  return (program.evaluate({ self, oldSelf, any: self, ...bindings }) as CelResult).cost;
};

const staticCost = (source: string): number => {
  const program = compileCel(source, environment);
  if (isCompileError(program)) throw new Error(program.error);
  return program.estimatedCost;
};

describe('expressions', () => {
  test.each<[string, unknown]>([
    // arithmetic and order
    ['self.a + self.b * 2', 11],
    ['-7 / 2', -3],
    ['-7 % 2', -1],
    ['7u + 1u == 8u', true],
    ['1 < 1.5 && 2u >= 2', true],
    ['9223372036854775807 + 1', 'integer overflow'],
    ['1 / 0', 'division by zero'],
    ['1 % 0', 'modulus by zero'],
    ['0u - 1u', 'unsigned integer overflow'],
    ['9007199254740993 == 9007199254740992', false],
    ['-9223372036854775808', -9223372036854775808n],
    ['0xff', 255],
    ['1.5e3 + .5', 1500.5],
    ['self.ratio / 4.0', 0.5],
    ['true ? 1 : 2', 1],
    ['"b" > "a" && !("é" < "e")', true],
    // errors that do not count
    ['1 / 0 > 0 || true', true],
    ['false && 1 / 0 > 0', false],
    ['[1, 2].exists(x, 1 / (x - 1) > 0)', true],
    ['[1, 0].all(x, 1 / x > 1)', false],
    // strings and bytes
    [
      `'it''s' == "it"`,
      "compilation failed: ERROR: <input>:1:5: Syntax error: extraneous input ''s'' expecting <EOF>\n | 'it''s' == \"it\"\n | ....^",
    ],
    [String.raw`"\u00e9\n\x41\101" == "é\nAA"`, true],
    [String.raw`r"\n".size()`, 2],
    [`b'\\xff\\x00'.size()`, 2],
    ['"""a"b""" + \'c\'', 'a"bc'],
    ['"äöü😀".size()', 4],
    ['self.name.startsWith("w") && self.name.matches("^w.b$")', true],
    ['"a,b,c".split(",", 2)', ['a', 'b,c']],
    ['"hello".substring(1, 3) + "hello".charAt(4)', 'elo'],
    ['"hello hello".replace("he", "we", 1)', 'wello hello'],
    ['"Ää".upperAscii() + " x ".trim()', 'Ääx'],
    ['"tacocat".lastIndexOf("c") - "tacocat".indexOf("c")', 2],
    ['["a", "b"].join("-")', 'a-b'],
    ['"%s is %d, %.2f, %x, %b, %o".format([dyn("a"), 5, 1.5, 255, 5, 8])', 'a is 5, 1.50, ff, 101, 10'],
    ['"%s".format([{"b": dyn([1, dyn(2.5)]), "a": true}])', '{a: true, b: [1, 2.5]}'],
    [String.raw`strings.quote("a\"b")`, '"a\\"b"'],
    ['"abc 123 def 456".find("[0-9]+")', '123'],
    ['"abc 123 def 456".findAll("[0-9]+")', ['123', '456']],
    ['"123 abc 456".findAll("[0-9]+", 1)', ['123']],
    ['string(self.data)', 'hi'],
    // lists, sets, maps
    ['self.list.isSorted() || self.list.max() == 3 && self.list.min() == 1 && self.list.sum() == 6', true],
    ['[1, 2, 2].indexOf(2) + [1, 2, 2].lastIndexOf(2)', 3],
    ['[3, 1].map(x, x * 2).filter(x, x > 2)', [6]],
    ['[1, 2, 3].map(x, x > 1, x * 10)', [20, 30]],
    ['[1, 2, 3].exists_one(x, x > 2)', true],
    ['{"a": 1, "b": 2}.map(k, k)', ['a', 'b']],
    ['{"a": 1}.all(k, v, k == "a" && v == 1)', true],
    ['[5, 6].transformList(i, v, i > 0, v + i)', [7]],
    ['{"a": 1}.transformMap(k, v, v + 1)', { a: 2 }],
    ['{"a": "b"}.transformMapEntry(k, v, {v: k})', { b: 'a' }],
    ['sets.contains([1, 2], [2]) && sets.equivalent([1, 1], [1]) && !sets.intersects([1], [2])', true],
    ['2 in [1, 2] && "app" in self.labels && !("x" in self.labels)', true],
    ['self.labels["a/b"] + self.labels.app', 'yx'],
    ['self.labels["nope"]', 'no such key: nope'],
    ['self.list[5]', 'index out of bounds: 5'],
    ['[1] + [2]', [1, 2]],
    ['size(self.labels) + size("abc")', 5],
    ['{1: "a"}[1]', 'a'],
    [
      'has(self.a) && !has(self.free)',
      "compilation failed: ERROR: <input>:1:25: undefined field 'free'\n | has(self.a) && !has(self.free)\n | ........................^",
    ],
    // list types
    ['self.set == oldSelf.set && self.ports == oldSelf.ports', true],
    ['self.set + ["y", "z"]', ['x', 'y', 'z']],
    ['self.ports + [{"name": "q"}] == 1', expect.stringContaining("found no matching overload for '_+_'")],
    // kubernetes' schema types
    ['self.a__dash__b__dot__c + 1', 8],
    ['self.__namespace__', 'n'],
    ['self.when.getFullYear() + self.when.getMonth()', 2025],
    ['self.when.getHours("-02:00")', 10],
    ['self.when + duration("1h") > timestamp("2024-02-29T12:59:59Z")', true],
    ['self.wait.getMinutes()', 1],
    ['self.wait == duration("1m30s")', true],
    ['timestamp("2024-01-01T00:00:00.5Z") - timestamp("2024-01-01T00:00:00Z")', '0.5s'],
    ['self.nothing == null', true],
    ['type(self.port) == string ? self.port == "80%" : self.port < 100', true],
    ['self.port == 80', false],
    ['self.port + 1', 'no such overload'],
    ['any.a + 1', 4],
    ['any.nope', 'no such key: nope'],
    ['any.ratio', 2],
    // optionals
    ['self.?name.orValue("none") + self.labels[?"z"].orValue("-")', 'web-'],
    ['optional.of(1).optMap(v, v + 1).value()', 2],
    ['optional.none().hasValue()', false],
    ['optional.ofNonZeroValue("").or(optional.of("x")).value()', 'x'],
    ['[1, ?optional.none(), ?optional.of(2)]', [1, 2]],
    ['{?"a": self.?name}', { a: 'web' }],
    ['any.?nope.?deeper.hasValue()', false],
    ['cel.bind(x, 3, x * x)', 9],
    // kubernetes' libraries
    ['quantity("1.5Gi").isGreaterThan(quantity("1Gi")) && quantity("100m").sign() == 1', true],
    ['quantity("2k").add(quantity("1k")).asInteger() + quantity("5").sub(2).asInteger()', 3003],
    ['isQuantity("1x") || quantity("1Ki") == quantity("1024")', true],
    ['ip("::ffff:1.2.3.4").family()', 'IPv4-mapped IPv6 address "::ffff:1.2.3.4" is not allowed'],
    ['ip("127.0.0.1").isLoopback() && ip("fe80::1").isLinkLocalUnicast() && ip("8.8.8.8").isGlobalUnicast()', true],
    ['ip.isCanonical("2001:db8::1") && !ip.isCanonical("2001:DB8::1") && isIP("::") && !isIP("1.2.3")', true],
    ['cidr("10.0.0.0/8").containsIP("10.1.2.3") && !cidr("10.0.0.0/8").containsCIDR(cidr("0.0.0.0/0"))', true],
    ['string(cidr("192.168.1.7/24").masked()) + string(cidr("fd00::/64").ip())', '192.168.1.0/24fd00::'],
    ['url("https://user@example.com:80/a b?k=1&k=2").getHostname()', 'example.com'],
    ['url("https://[::1]:80/x?k=1&k=2").getQuery()["k"]', ['1', '2']],
    [
      'url("https://[::1]:80/x").getPort() + url("/a").getEscapedPath() + url("https://[::1]:80/").getHost()',
      '80/a[::1]:80',
    ],
    ['isURL("not a url")', false],
    ['format.dns1123Label().validate("Bad!").value()[0].startsWith("a lowercase RFC 1123 label")', true],
    ['!format.named("labelValue").value().validate("ok").hasValue() && !format.named("x").hasValue()', true],
    ['semver("1.2.3-rc.1").isLessThan(semver("1.2.3")) && semver("v1.2", true).minor() == 2 && !isSemver("v1")', true],
    ['jsonpatch.escapeKey("a/b~c")', 'a~1b~0c'],
    ['math.greatest(1, 5, 3) + math.least([4, 2])', 7],
    ['math.round(2.5) + math.ceil(-0.5)', 3],
    ['bool("true") && int("-5") == -5 && uint(3) == 3u && double("1.5") == 1.5', true],
    ['int("x")', "type conversion error from 'string' to 'int'"],
    ['type(1) == int && type([]) == list && type(timestamp(0)) == google.protobuf.Timestamp', true],
  ])('%s', (source, expected) => {
    expect(run(source)).toEqual(expected);
  });

  test.each<[string, string]>([
    ['self.nope > 1', "1:5: undefined field 'nope'\n | self.nope > 1\n | ....^"],
    ['foo == 1', "1:1: undeclared reference to 'foo' (in container '')\n | foo == 1\n | ^"],
    ['self.a + self.name', "1:8: found no matching overload for '_+_' applied to '(int, string)'"],
    ['self.name.startsWith(1)', "1:21: found no matching overload for 'startsWith' applied to 'string.(int)'"],
    ['self.a == "x"', "1:8: found no matching overload for '_==_' applied to '(int, string)'"],
    ['frob(1)', "1:5: undeclared reference to 'frob' (in container '')"],
    ['self.a.x', "1:7: type 'int' does not support field selection"],
    ['[1, "a"]', "1:5: expected type 'int' but found 'string'"],
    [
      'self.a +',
      "1:9: Syntax error: mismatched input '<EOF>' expecting {'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}",
    ],
    ['self.a # 1', "1:8: Syntax error: token recognition error at: '#'"],
    [
      'self.a.all(x, true)',
      "1:5: expression of type 'int' cannot be range of a comprehension (must be list, map, or dynamic)",
    ],
    ['1 ? 2 : 3', "1:3: found no matching overload for '_?_:_' applied to '(int, int, int)'"],
    ['package', '1:1: reserved identifier: package'],
    ['true &&\n  self.zz', "2:7: undefined field 'zz'\n |   self.zz\n | ......^"],
  ])('refuses %j', (source, text) => {
    expect(run(source)).toContain(`compilation failed: ERROR: <input>:${text}`);
  });

  test('all mistakes are told at once, in their order', () => {
    expect(run('self.x == 1 && self.y == 2')).toMatch(/1:5: undefined field 'x'[\s\S]*1:20: undefined field 'y'/);
  });

  test('must give what is expected', () => {
    expect(compileCel('1 + 1', environment, 'bool')).toEqual({ error: 'must evaluate to bool', wrongType: true });
  });

  test('nesting beyond all reason is refused, not survived by luck', () => {
    expect(run(`${'('.repeat(5000)}1${')'.repeat(5000)}`)).toContain('recursion limit exceeded');
    expect(run(`self${'.a'.repeat(5000)}`)).toContain('recursion limit exceeded');
  });

  test('a pattern that would blow up a backtracking engine does not', () => {
    expect(run(`"${'a'.repeat(60)}!".matches("^(a+)+$")`)).toBe(false);
  });
});

describe('lazy variables and what a host binds', () => {
  test('are read once, and only when they are needed', () => {
    let read = 0;
    const any = () => ++read;
    expect(run('true || any == 1', { any })).toBe(true);
    expect(read).toBe(0);
    expect(run('any == 1 && any == 1', { any })).toBe(true);
    expect(read).toBe(1);
  });

  test('an authorizer is asked for what the rule says', () => {
    const asked: unknown[] = [];
    const authorizer = new AuthorizerValue({
      check: (access) => {
        asked.push(access);
        return { allowed: access.verb === 'get', reason: 'because' };
      },
    });
    const env = { variables: { authorizer: 'kubernetes.authorization.Authorizer' } };
    const source =
      'authorizer.group("apps").resource("deployments").namespace("n").check("get").allowed() && !authorizer.serviceAccount("n", "sa").path("/healthz").check("post").allowed()';
    expect(run(source, { authorizer }, env)).toBe(true);
    expect(asked).toEqual([
      { verb: 'get', resource: { group: 'apps', resource: 'deployments', subresource: '', namespace: 'n', name: '' } },
      { verb: 'post', serviceAccount: { namespace: 'n', name: 'sa' }, path: '/healthz' },
    ]);
  });

  test('messages are made where the host knows their type', () => {
    const env: CelEnvironment = {
      variables: { any: 'dyn' },
      structs: (name) => (name.startsWith('Object') ? 'dyn' : undefined),
    };
    expect(run('Object{spec: Object.spec{replicas: any.a, __namespace__: "n", ?x: optional.none()}}', {}, env)).toEqual(
      {
        spec: { replicas: 3, namespace: 'n' },
      },
    );
    expect(run('Other{a: 1}', {}, env)).toContain("undeclared reference to 'Other'");
  });
});

describe('cost', () => {
  test.each<[string, number]>([
    ['true', 0],
    ['self', 1],
    ['self.a', 2],
    ['self.a > 1', 3],
    ['has(self.a)', 1],
    ['self.a > 1 || self.b > 1', 3],
    ['self.list.size()', 3],
    ['[1, 2]', 10],
    ['{"a": 1}', 30],
    ['"abcdefghijk".startsWith("abcdefghijk")', 2],
    ['3 in self.list', 5],
    ['[1].all(x, true)', 14],
  ])('%s costs %d', (source, cost) => {
    expect(costOf(source)).toBe(cost);
  });

  test('is never more than what was estimated', () => {
    for (const source of [
      'self.list.all(x, x > 0)',
      'self.list.map(x, x + 1).size() == 3',
      'self.name.matches("^[a-z]+$")',
      'self.list.exists(x, self.list.exists(y, x == y))',
      'self.name.split("").all(x, x.matches("[a-z]"))',
      'self.list.all(x, string(x + 9000000000).startsWith("9"))',
    ])
      expect(costOf(source)).toBeLessThanOrEqual(staticCost(source));
  });

  test('is estimated from the bounds of the schema', () => {
    expect(staticCost('self.list.all(x, x > 0)')).toBeLessThan(100);
    expect(staticCost('self.set.all(x, self.set.all(y, x == y))')).toBeGreaterThan(1e9);
  });

  test('beyond a call’s limit ends the evaluation whatever stands around it', () => {
    const list = { list: Array.from({ length: 2000 }, (_, i) => i) };
    const program = compileCel('true || true ? any.list.all(x, any.list.all(y, x >= 0)) || true : true', environment);
    if (isCompileError(program)) throw new Error(program.error);
    const budget = new CelBudget();
    expect(program.evaluate({ any: list }, budget)).toMatchObject({
      error: 'operation cancelled: actual cost limit exceeded',
      exceeded: 'call',
    });
    const small = new CelBudget(5);
    expect(program.evaluate({ any: { list: [1, 2, 3] } }, small)).toMatchObject({ exceeded: 'budget' });
  });
});

describe('against an oracle', () => {
  test('whole-number arithmetic is that of 64 bits', () => {
    const number = fc.bigInt({ min: -(2n ** 63n) + 1n, max: 2n ** 63n - 1n });
    fc.assert(
      fc.property(number, number, fc.constantFrom('+', '-', '*', '/', '%', '<', '=='), (a, b, op) => {
        const text = (n: bigint) => (n < 0n ? `(${n})` : `${n}`);
        const exact = (): unknown => {
          if (op === '<') return a < b;
          if (op === '==') return a === b;
          if (b === 0n && op === '/') return 'division by zero';
          if (b === 0n && op === '%') return 'modulus by zero';
          const value = op === '+' ? a + b : op === '-' ? a - b : op === '*' ? a * b : op === '/' ? a / b : a % b;
          if (BigInt.asIntN(64, value) !== value) return 'integer overflow';
          return Number.isSafeInteger(Number(value)) ? Number(value) : value;
        };
        expect(run(`${text(a)} ${op} ${text(b)}`)).toEqual(exact());
      }),
      { numRuns: 300 },
    );
  });

  test('lists and strings behave as their JavaScript counterparts', () => {
    fc.assert(
      fc.property(fc.array(fc.integer(), { maxLength: 8 }), fc.integer(), (list, n) => {
        const bindings = { any: { list, n } };
        expect(run('any.list.filter(x, x > any.n)', bindings)).toEqual(list.filter((x) => x > n));
        expect(run('any.n in any.list', bindings)).toBe(list.includes(n));
        expect(run('any.list.all(x, x != any.n)', bindings)).toBe(!list.includes(n));
        expect(run('any.list.map(x, x == any.n)', bindings)).toEqual(list.map((x) => x === n));
      }),
      { numRuns: 200 },
    );
  });

  test('no text makes the compiler do anything but compile or refuse', () => {
    const pieces = fc.constantFrom(
      'self',
      '.a',
      '.list',
      '[',
      ']',
      '(',
      ')',
      '1',
      '"x"',
      '+',
      '&&',
      '?',
      ':',
      '{',
      '}',
      ',',
      'all',
      '.map(x,',
      'x',
      '!',
      '-',
      'in',
      ' ',
    );
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 20 }), (parts) => {
        compileCel(parts.join(''), environment);
      }),
      { numRuns: 2000 },
    );
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => void compileCel(text, environment)),
      { numRuns: 500 },
    );
  });
});
