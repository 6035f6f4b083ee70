import { selectorFromObject } from '@trimtab/machinery';
import { duration, LIFECYCLE_FIELDS, type Lifecycle, type LifecycleRule, type Lifecycles } from './lifecycle.js';

/**
 * Reads the document of a `--simulated-lifecycle` file:
 *
 *     pods:
 *     - namespaces: [shop]                       # any where absent
 *       selector: {matchLabels: {app: web}}
 *       containers: [main]
 *       startDelay: 500ms
 *       exitAfter: 30s
 *       exitCode: 1
 *       readyAfter: 2s
 *       unreadyEvery: 1m
 *       unreadyFor: 5s
 *     nodes:
 *     - names: [simulated-1*]
 *       failAfter: 1m
 *       failFor: 2m
 *
 * Throws an Error that names the field and says what is expected there.
 */
export function parseLifecycles(document: unknown): Lifecycles {
  const file = fields(document, 'the file', ['pods', 'nodes']);
  return {
    pods: list(file.pods, 'pods').map((rule, i) => podRule(rule, `pods[${i}]`)),
    nodes: list(file.nodes, 'nodes').map((rule, i) => {
      const at = `nodes[${i}]`;
      const { names, failAfter, failFor } = fields(rule, at, ['names', 'failAfter', 'failFor']);
      return {
        names: texts(names, `${at}.names`),
        failAfter: read(failAfter ?? '0s', duration, `${at}.failAfter`, 'a duration such as 1m30s'),
        ...(failFor === undefined
          ? {}
          : { failFor: read(failFor, duration, `${at}.failFor`, 'a duration such as 1m30s') }),
      };
    }),
  };
}

const SCOPE = ['namespaces', 'selector', 'containers'];

function podRule(rule: unknown, at: string): LifecycleRule {
  const { namespaces, selector, containers, ...script } = fields(rule, at, [
    ...SCOPE,
    ...Object.keys(LIFECYCLE_FIELDS),
  ]);
  const lifecycle = Object.fromEntries(
    Object.entries(script).map(([field, value]) => {
      const [name, reader] = LIFECYCLE_FIELDS[field as keyof Lifecycle];
      const expected =
        name === 'exit-code' ? '0 to 255' : name === 'oom-killed' ? 'true or false' : 'a duration such as 1m30s';
      return [field, read(value, reader, `${at}.${field}`, expected)];
    }),
  );
  return {
    ...(namespaces === undefined ? {} : { namespaces: texts(namespaces, `${at}.namespaces`) }),
    ...(selector === undefined ? {} : { selector: selectorFromObject(record(selector, `${at}.selector`)) }),
    ...(containers === undefined ? {} : { containers: texts(containers, `${at}.containers`) }),
    lifecycle,
  };
}

type Fields = Readonly<Record<string, unknown>>;

function record(value: unknown, at: string): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Error(`${at}: expected a map`);
  return value as Fields;
}

function fields(value: unknown, at: string, known: readonly string[]): Fields {
  const found = record(value, at);
  const stranger = Object.keys(found).find((key) => !known.includes(key));
  if (stranger !== undefined) throw new Error(`${at}.${stranger}: no such field; there are ${known.join(', ')}`);
  return found;
}

function list(value: unknown, at: string): readonly unknown[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) throw new Error(`${at}: expected a list`);
  return value;
}

function texts(value: unknown, at: string): readonly string[] {
  const all = list(value, at);
  if (all.length === 0 || !all.every((each) => typeof each === 'string'))
    throw new Error(`${at}: expected a list of names`);
  return all as readonly string[];
}

function read<T>(value: unknown, reader: (text: string) => T | undefined, at: string, expected: string): T {
  const result = reader(String(value));
  if (result === undefined) throw new Error(`${at}: ${JSON.stringify(value)} is not ${expected}`);
  return result;
}
