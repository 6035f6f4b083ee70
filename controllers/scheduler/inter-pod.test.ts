import type { PodAffinityTerm, TopologySpreadConstraint } from '@trimtab/machinery';
import { selectorFromLabels } from '@trimtab/machinery';
import { node, type PodSpec, picture, place, placeIn, pod } from './testing.js';

const ZONE = 'topology.kubernetes.io/zone';
const HOST = 'kubernetes.io/hostname';
const inZone = (name: string, zone: string) => node(name, { labels: { [ZONE]: zone } });
const app = (name: string) => ({ labels: { app: name } });
const term = (name: string, topologyKey = ZONE, more: Partial<PodAffinityTerm> = {}): PodAffinityTerm => ({
  topologyKey,
  labelSelector: { matchLabels: { app: name } },
  ...more,
});
const near = (...terms: PodAffinityTerm[]): Partial<PodSpec> => ({
  affinity: { podAffinity: { requiredDuringSchedulingIgnoredDuringExecution: terms } },
});
const apart = (...terms: PodAffinityTerm[]): Partial<PodSpec> => ({
  affinity: { podAntiAffinity: { requiredDuringSchedulingIgnoredDuringExecution: terms } },
});
const NEAR = "node(s) didn't match pod affinity rules";
const APART = "node(s) didn't match pod anti-affinity rules";

describe('inter-pod affinity', () => {
  const zones = [[inZone('a1', 'a')], [inZone('b1', 'b'), pod({}, app('db'))], [inZone('b2', 'b')]] as const;

  test('required terms keep a pod where all of them hold', () => {
    expect(place(pod(near(term('db'))), ...zones)).toMatch(/^b/);
    expect(place(pod(near(term('db', HOST))), ...zones)).toBe('b1');
    expect(place(pod(near(term('web'))), ...zones)).toBe(`0/3 nodes are available: 3 ${NEAR}.`);
  });

  test('the first of a group that wants to be together goes anywhere the key is', () => {
    expect(place(pod(near(term('web')), app('web')), ...zones)).toMatch(/^[ab]/);
    expect(place(pod(near(term('web', 'rack')), app('web')), ...zones)).toBe(`0/3 nodes are available: 3 ${NEAR}.`);
  });

  test('anti-affinity holds for the one that comes and for those that are there', () => {
    expect(place(pod(apart(term('db'))), ...zones)).toBe('a1');
    const jealous = pod(apart(term('web')), app('db'));
    expect(place(pod({}, app('web')), [inZone('a1', 'a'), jealous], [inZone('a2', 'a')])).toBe(
      "0/2 nodes are available: 2 node(s) didn't satisfy existing pods anti-affinity rules.",
    );
    expect(place(pod(apart(term('db', HOST))), [inZone('b1', 'b'), pod({}, app('db'))])).toBe(
      `0/1 nodes are available: 1 ${APART}.`,
    );
  });

  test('terms speak of their own namespace unless they name or select others', () => {
    const other = pod({}, { ...app('db'), namespace: 'other' });
    const where = picture([[inZone('a1', 'a'), other], [inZone('b1', 'b')]], {
      namespaceLabels: (name) => ({ team: name }),
    });
    const refused = `0/2 nodes are available: 2 ${NEAR}.`;
    expect(placeIn(where, pod(near(term('db'))))).toBe(refused);
    expect(placeIn(where, pod(near(term('db', ZONE, { namespaces: ['other'] }))))).toBe('a1');
    const select = (team: string) => term('db', ZONE, { namespaceSelector: { matchLabels: { team } } });
    expect(placeIn(where, pod(near(select('other'))))).toBe('a1');
    expect(placeIn(where, pod(near(select('nobody'))))).toBe(refused);
  });

  test('matchLabelKeys narrows a term to pods of the same version', () => {
    const old = pod({}, { labels: { app: 'web', version: '1' } });
    const spec = apart(term('web', HOST, { matchLabelKeys: ['version'] }));
    const next = pod(spec, { labels: { app: 'web', version: '2' } });
    expect(place(next, [node('a'), old])).toBe('a');
  });

  test('preferred terms of both sides score', () => {
    const weighted = [{ weight: 100, podAffinityTerm: term('db', HOST) }];
    const wish = { affinity: { podAffinity: { preferredDuringSchedulingIgnoredDuringExecution: weighted } } };
    const shy = { affinity: { podAntiAffinity: { preferredDuringSchedulingIgnoredDuringExecution: weighted } } };
    expect(place(pod(wish), [node('a')], [node('b'), pod({}, app('db'))])).toBe('b');
    expect(place(pod(shy), [node('a'), pod({}, { cpu: '1' })], [node('b'), pod({}, app('db'))])).toBe('a');
    expect(place(pod({}, app('db')), [node('a'), pod(wish)], [node('b')])).toBe('a');
  });
});

describe('topology spread', () => {
  const spread = (
    whenUnsatisfiable: string,
    topologyKey = ZONE,
    more: Partial<TopologySpreadConstraint> = {},
  ): Partial<PodSpec> => ({
    topologySpreadConstraints: [
      { maxSkew: 1, topologyKey, whenUnsatisfiable, labelSelector: { matchLabels: { app: 'web' } }, ...more },
    ],
  });
  const web = () => pod({}, app('web'));
  const hard = (more: Partial<TopologySpreadConstraint> = {}) => pod(spread('DoNotSchedule', ZONE, more), app('web'));

  test('a hard constraint refuses what would skew', () => {
    const where = [[inZone('a', 'a'), web()], [inZone('b', 'b')], [node('nowhere')]] as const;
    expect(place(hard(), ...where)).toBe('b');
    const full = node('b', { labels: { [ZONE]: 'b' }, spec: { unschedulable: true } });
    expect(place(hard(), [inZone('a', 'a'), web()], [full], [node('nowhere')])).toBe(
      "0/3 nodes are available: 1 node(s) didn't match pod topology spread constraints, " +
        "1 node(s) didn't match pod topology spread constraints (missing required label), 1 node(s) were unschedulable.",
    );
  });

  test('pods that are leaving and pods of other namespaces do not count', () => {
    const leaving = { ...web(), metadata: { ...web().metadata, deletionTimestamp: '2026-01-01T00:00:00Z' } };
    const foreign = pod({}, { ...app('web'), namespace: 'other' });
    expect(place(hard(), [inZone('a', 'a'), leaving, foreign], [inZone('b', 'b'), web()])).toBe('a');
  });

  test('with fewer domains than minDomains the least counts as none', () => {
    const where = [
      [inZone('a', 'a'), web()],
      [inZone('b', 'b'), web()],
    ] as const;
    expect(place(hard(), ...where)).toMatch(/^[ab]$/);
    expect(place(hard({ minDomains: 3 }), ...where)).toContain('topology spread');
  });

  test('domains that the pod cannot go to do not count, unless it says so', () => {
    const gpu = node('c', { labels: { [ZONE]: 'c', gpu: 'no' } });
    const where = [[inZone('a', 'a'), web()], [inZone('b', 'b'), web()], [gpu]] as const;
    const choosy = (nodeAffinityPolicy: string) => {
      const { spec, ...rest } = hard({ nodeAffinityPolicy });
      const expression = { key: 'gpu', operator: 'DoesNotExist' };
      const required = { nodeSelectorTerms: [{ matchExpressions: [expression] }] };
      const affinity = { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: required } };
      return { ...rest, spec: { ...spec!, affinity } };
    };
    expect(place(choosy('Honor'), ...where)).toMatch(/^[ab]$/);
    expect(place(choosy('Ignore'), ...where)).toContain('topology spread');
  });

  test('a soft constraint prefers the emptier domain, and so does a set that says nothing', () => {
    const where = [
      [inZone('a', 'a'), web()],
      [inZone('b', 'b'), pod({}, { cpu: '500m' })],
    ] as const;
    expect(place(pod(spread('ScheduleAnyway'), app('web')), ...where)).toBe('b');
    expect(place(pod({}, app('web')), ...where)).toBe('a');
    const owned = picture(where, { defaultSelector: () => selectorFromLabels({ app: 'web' }) });
    expect(placeIn(owned, pod({}, app('web')))).toBe('b');
  });
});
