import {
  changeStatus,
  changeTo,
  controller,
  controllerReference,
  create,
  type Effect,
  isControlledBy,
  remove,
  type View,
  watch,
  withCondition,
} from '@trimtab/framework';
import { type ConfigMap, ConfigMaps, type KubeObject, type ObjectKey, timestamp } from '@trimtab/machinery';
import type { WriteEntry } from '../world/trace.js';
import type { World } from '../world/world.js';
import { kindOf, must, mutantsOf, type Subject } from './mutant.js';

interface Condition {
  readonly type: string;
  readonly status: string;
  readonly lastTransitionTime?: string;
}
export interface Site extends KubeObject {
  readonly spec: { readonly title: string; readonly theme: string };
  readonly status?: {
    readonly made?: boolean;
    readonly conditions?: readonly Condition[];
    readonly observedGeneration?: number;
  };
}
export const Sites = kindOf<Site>('Site');

interface Parts {
  readonly watchesThemes: boolean;
  theme(view: View<Site>, site: Site): ConfigMap | undefined;
  childName(site: Site): string;
  isOwn(child: ConfigMap, site: Site): boolean;
  /** What makes the child as wanted. */
  child(view: View<Site>, site: Site, present: ConfigMap | undefined, html: string): readonly Effect[];
  ready(present: ConfigMap | undefined, html: string): boolean;
  status(site: Site, ready: boolean, now: number): Site['status'];
  order(child: readonly Effect[], report: readonly Effect[], site: Site): readonly Effect[];
}

const childOf = (site: Site, name: string, html: string): ConfigMap => ({
  metadata: { name, namespace: site.metadata.namespace, ownerReferences: [controllerReference(Sites, site)] },
  data: { html },
});

const right: Parts = {
  watchesThemes: true,
  theme: (view, { metadata, spec }) => view.get(ConfigMaps, { namespace: metadata.namespace, name: spec.theme }),
  childName: ({ metadata }) => `${metadata.name}-html`,
  isOwn: isControlledBy,
  child(_, site, present, html) {
    if (!present) return [create(ConfigMaps, childOf(site, right.childName(site), html))];
    return changeTo(ConfigMaps, present, { ...present, data: { ...present.data, html } });
  },
  ready: (present, html) => present?.data?.html === html,
  status: (site, ready, now) => ({
    conditions: withCondition<Condition>(
      site.status?.conditions,
      { type: 'Ready', status: ready ? 'True' : 'False' },
      now,
    ),
    observedGeneration: site.metadata.generation!,
  }),
  order: (child, report) => [...child, ...report],
};

const ns = 'ns';
const key = { namespace: ns, name: 'blog' };
const html = { namespace: ns, name: 'blog-html' };
const site = (name: string, title: string): Site => ({
  metadata: { namespace: ns, name },
  spec: { title, theme: 'dark' },
});
const theme = (name: string, colour: string): ConfigMap => ({ metadata: { namespace: ns, name }, data: { colour } });

async function workload(w: World): Promise<void> {
  await w.create(ConfigMaps, theme('dark', 'black'), theme('bright', 'white'));
  await w.create(Sites, site('blog', 'One'), site('shop', 'Shop'));
  await w.settle();
  await w.patch(Sites, key, { spec: { title: 'Two' } });
  await w.settle();
  await w.patch(ConfigMaps, html, { data: { robots: 'none' } });
  await w.patch(ConfigMaps, { namespace: ns, name: 'dark' }, { data: { colour: 'navy' } });
  await w.settle();
  must((await w.get(ConfigMaps, html)).data?.html === 'Two in navy', 'the page is not of the theme it names');
  await w.patch(Sites, key, { spec: { theme: 'bright' } });
  await w.settle();
  must((await w.get(ConfigMaps, html)).data?.robots === 'none', 'what a user added to the page is gone');
  await w.remove(ConfigMaps, html);
  await w.settle();
  await w.patch(ConfigMaps, html, { data: { robots: 'all' } });
  await w.remove(Sites, { namespace: ns, name: 'shop' });
  await w.settle();
  await w.remove(ConfigMaps, { namespace: ns, name: 'shop-html' });
  await w.create(ConfigMaps, { metadata: { namespace: ns, name: 'shop-html' }, data: { html: 'mine' } });
  await w.create(Sites, site('shop', 'Again'));
  await w.settle();
}

async function finally_(w: World): Promise<void> {
  const child = await w.get(ConfigMaps, html);
  must(child.data?.html === 'Two in white', `the page says "${child.data?.html}"`);
  must(child.data?.robots === 'all', 'what a user added to the page is gone');
  const foreign = await w.get(ConfigMaps, { namespace: ns, name: 'shop-html' });
  must(foreign.data?.html === 'mine', 'a config map of somebody else was taken over');
  const { status, metadata } = await w.get(Sites, key);
  must(status?.conditions?.length === 1 && status.conditions[0]!.status === 'True', 'the site is not ready');
  must(status?.observedGeneration === metadata.generation, 'the status is of another generation');
}

/** Ready is never told before there is a page. */
function always() {
  const pages = new Set<string>();
  return ({ resource, verb, key: name, object }: WriteEntry): string | undefined => {
    if (resource === '/configmaps') verb === 'delete' ? pages.delete(name) : pages.add(name);
    const { status } = object as Site;
    const becameReady =
      resource.endsWith('/sites') && status?.conditions?.some((c) => c.type === 'Ready' && c.status === 'True');
    return becameReady && verb !== 'delete' && !pages.has(`${name}-html`)
      ? `site ${name} is ready without a page`
      : undefined;
  };
}

/** A config map a site, made from the site and from a theme it refers to. */
export const siteSubject: Subject<Parts> = {
  name: 'site',
  make: (wrong) => () => {
    const parts = { ...right, ...wrong?.() };
    const usersOf = (map: ConfigMap, view: Pick<View, 'list'>): readonly ObjectKey[] =>
      view
        .list(Sites, map.metadata.namespace)
        .filter(({ spec }) => spec.theme === map.metadata.name)
        .map(({ metadata }) => ({ namespace: metadata.namespace, name: metadata.name! }));
    return controller<Site>({
      name: 'site',
      for: Sites,
      owns: [ConfigMaps],
      watches: parts.watchesThemes ? [watch(ConfigMaps, usersOf)] : [],
      reconcile(view) {
        const { object, now } = view;
        if (!object) return [];
        const found = view.get(ConfigMaps, { namespace: object.metadata.namespace, name: parts.childName(object) });
        const wanted = `${object.spec.title} in ${parts.theme(view, object)?.data?.colour}`;
        const taken = found !== undefined && !parts.isOwn(found, object);
        const effects = taken ? [] : parts.child(view, object, found, wanted);
        const report = changeStatus(Sites, object, (draft) => {
          draft.status = parts.status(object, !taken && parts.ready(found, wanted), now) as typeof draft.status;
        });
        return parts.order(effects, report, object);
      },
    });
  },
  scenario: (source) => ({
    world: { kinds: [Sites], controllers: [source] },
    workload,
    mostWrites: 150,
    finally: finally_,
    always,
  }),
};

export const siteMutants = mutantsOf(siteSubject, {
  'does not watch themes': ['unobserved-state', () => ({ watchesThemes: false })],
  'takes the first config map for the theme': [
    'misoperation',
    () => ({ theme: (view) => view.list(ConfigMaps, ns)[0] }),
  ],
  'only ever creates': [
    'misoperation',
    () => ({ child: (view, s, present, text) => (present ? [] : right.child(view, s, present, text)) }),
  ],
  'makes it once, noted before': [
    'intermediate-state',
    () => ({
      status: (s, ready, now) => ({ ...right.status(s, ready, now), made: true }),
      order: (child, report, s) =>
        s.status?.made ? [...child.filter((e) => e.type !== 'create'), ...report] : [...report, ...child],
    }),
  ],
  'creates blindly until it has noted that it did': [
    'intermediate-state',
    () => ({
      child: (view, s, present, text) =>
        s.status?.made
          ? right.child(view, s, present, text)
          : [create(ConfigMaps, childOf(s, right.childName(s), text))],
      status: (s, ready, now) => ({ ...right.status(s, ready, now), made: true }),
    }),
  ],
  'overwrites what others added': [
    'misoperation',
    () => ({
      child: (view, s, present, text) =>
        present
          ? changeTo(ConfigMaps, present, { ...present, data: { html: text } })
          : right.child(view, s, present, text),
    }),
  ],
  'takes over what has its name': ['identity', () => ({ isOwn: () => true })],
  'gives all pages one name': ['identity', () => ({ childName: () => 'page-html' })],
  'replaces by deleting first': [
    'intermediate-state',
    () => ({
      child: (view, s, present, text) =>
        present && present.data?.html !== text
          ? [remove(ConfigMaps, present), create(ConfigMaps, childOf(s, right.childName(s), text))]
          : right.child(view, s, present, text),
    }),
  ],
  'is ready whatever there is': [
    'status',
    () => ({ ready: () => true, order: (child, report) => [...report, ...child] }),
  ],
  'sets the transition time at every look': [
    'hot-loop',
    () => ({
      status: (s, ready, now) => ({
        ...right.status(s, ready, now),
        conditions: [{ type: 'Ready', status: ready ? 'True' : 'False', lastTransitionTime: timestamp(now) }],
      }),
    }),
  ],
  'adds its condition instead of setting it': [
    'hot-loop',
    () => ({
      status: (s, ready, now) => ({
        ...right.status(s, ready, now),
        conditions: [
          ...(s.status?.conditions ?? []).slice(-20),
          { type: 'Ready', status: String(ready), lastTransitionTime: timestamp(now) },
        ],
      }),
    }),
  ],
  'keeps the page it made in memory': [
    'memory',
    () => {
      const made = new Map<string, string>();
      return {
        child: (view, s, present, text) => {
          if (made.get(s.metadata.uid!) === text) return [];
          made.set(s.metadata.uid!, text);
          return right.child(view, s, present, text);
        },
      };
    },
  ],
  'remembers refusals for good': [
    'error-handling',
    () => {
      let failed = false;
      return {
        child: (view, s, present, text) => {
          failed ||= view.failure !== undefined;
          return failed ? [] : right.child(view, s, present, text);
        },
      };
    },
  ],
});
