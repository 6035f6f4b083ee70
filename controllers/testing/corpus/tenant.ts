import {
  change,
  concurrently,
  controller,
  create,
  type Effect,
  isDeleting,
  remove,
  type View,
} from '@trimtab/framework';
import { type ConfigMap, ConfigMaps, type KubeObject, type ResourceType } from '@trimtab/machinery';
import type { World } from '../world/world.js';
import { kindOf, must, mutantsOf, type Subject } from './mutant.js';

export interface Tenant extends KubeObject {
  readonly spec: { readonly plan: string };
}
export const Tenants = kindOf<Tenant>('Tenant');

const FINALIZER = 'corpus.trimtab.dev/account';
const ACCOUNTS = 'accounts';

interface Parts {
  /** Before the tenant is let in; what is done with no finalizer, and with one. */
  begin(view: View<Tenant>, tenant: Tenant): readonly Effect[];
  end(view: View<Tenant>, tenant: Tenant): readonly Effect[];
  /** When it is gone already. */
  gone(view: View<Tenant>): readonly Effect[];
}

const accountOf = (tenant: Tenant): ConfigMap => ({
  metadata: { namespace: ACCOUNTS, name: `${tenant.metadata.name}-${tenant.metadata.uid}` },
  data: { plan: tenant.spec.plan },
});
const account = (view: View<Tenant>, tenant: Tenant): ConfigMap | undefined =>
  view.get(ConfigMaps, { namespace: ACCOUNTS, name: accountOf(tenant).metadata.name! });

const finalizers = (tenant: Tenant, to: (present: readonly string[]) => readonly string[]): readonly Effect[] =>
  change(Tenants, tenant, (draft) => {
    draft.metadata.finalizers = [...to(tenant.metadata.finalizers ?? [])];
  });
const hold = (tenant: Tenant) =>
  finalizers(tenant, (present) => (present.includes(FINALIZER) ? present : [...present, FINALIZER]));
const letGo = (tenant: Tenant) => finalizers(tenant, (present) => present.filter((name) => name !== FINALIZER));
const open = (view: View<Tenant>, tenant: Tenant): readonly Effect[] =>
  account(view, tenant) ? [] : [create(ConfigMaps, accountOf(tenant))];
const close = (view: View<Tenant>, tenant: Tenant): readonly Effect[] => {
  const found = account(view, tenant);
  return found ? [remove(ConfigMaps, found)] : [];
};
const held = ({ metadata }: Tenant): boolean => metadata.finalizers?.includes(FINALIZER) === true;

const right: Parts = {
  begin: (view, tenant) => [...hold(tenant), ...open(view, tenant)],
  end: (view, tenant) => (held(tenant) ? [...close(view, tenant), ...letGo(tenant)] : []),
  gone: () => [],
};

const key = (name: string) => ({ namespace: 'ns', name });
const tenant = (name: string): Tenant => ({
  metadata: { ...key(name), finalizers: ['corpus.trimtab.dev/hold'] },
  spec: { plan: 'free' },
});

async function release(w: World, name: string): Promise<void> {
  const found = await w.find(Tenants, key(name));
  const others = (found?.metadata.finalizers ?? []).filter((f) => f !== 'corpus.trimtab.dev/hold');
  if (found) await w.patch(Tenants, key(name), { metadata: { finalizers: others } });
}

async function workload(w: World): Promise<void> {
  await w.create(Tenants, tenant('acme'));
  await w.settle();
  // Gone again before a controller that has just been killed is back.
  await w.create(Tenants, { ...tenant('brief'), metadata: key('brief') });
  await w.pass('500ms');
  await w.remove(Tenants as unknown as ResourceType, key('brief'));
  await w.settle();
  await w.remove(Tenants as unknown as ResourceType, key('acme'));
  await w.settle();
  must((await w.find(Tenants, key('acme'))) !== undefined, 'a finalizer of somebody else was removed');
  await release(w, 'acme');
  await w.settle();
  await w.create(Tenants, { ...tenant('acme'), metadata: key('acme') });
  await w.settle();
}

async function finally_(w: World): Promise<void> {
  const [live, ...more] = await w.list(Tenants, 'ns');
  must(live?.metadata.name === 'acme' && more.length === 0, 'a deleted tenant is still there');
  const accounts = (await w.list(ConfigMaps, ACCOUNTS)).map(({ metadata }) => metadata.name);
  const wanted = accountOf(live!).metadata.name;
  must(accounts.includes(wanted), 'a tenant has no account');
  must(accounts.length === 1, 'an account of a tenant that is gone is left');
}

/** Something elsewhere for every tenant, that must go before the tenant does. */
export const tenantSubject: Subject<Parts> = {
  name: 'tenant',
  make: (wrong) => () => {
    const parts = { ...right, ...wrong?.() };
    return controller<Tenant>({
      name: 'tenant',
      for: Tenants,
      reads: [ConfigMaps],
      reconcile(view) {
        const { object } = view;
        if (!object) return parts.gone(view);
        return isDeleting(object) ? parts.end(view, object) : parts.begin(view, object);
      },
    });
  },
  scenario: (source) => ({
    world: { kinds: [Tenants], controllers: [source] },
    workload,
    finally: finally_,
  }),
};

export const tenantMutants = mutantsOf(tenantSubject, {
  'opens the account before it holds the tenant': [
    'intermediate-state',
    () => ({ begin: (view, t) => [...open(view, t), ...hold(t)] }),
  ],
  'holds no tenant': ['finalizer', () => ({ begin: open, end: close })],
  'cleans up when the tenant is gone': [
    'unobserved-state',
    () => {
      const seen = new Map<string, Tenant>();
      return {
        begin: (view, t) => {
          seen.set(t.metadata.name!, t);
          return open(view, t);
        },
        end: () => [],
        gone: (view) => {
          const last = seen.get(view.key.name);
          return last ? close(view, last) : [];
        },
      };
    },
  ],
  'lets the tenant go first': [
    'finalizer',
    () => ({ end: (view, t) => (held(t) ? [...letGo(t), ...close(view, t)] : []) }),
  ],
  'lets the tenant go while it closes the account': [
    'error-handling',
    () => ({ end: (view, t) => (held(t) ? concurrently([...letGo(t), ...close(view, t)]) : []) }),
  ],
  'closes no account': ['finalizer', () => ({ end: (_, t) => letGo(t) })],
  'never lets go': ['finalizer', () => ({ end: close })],
  'lets go of all finalizers': [
    'finalizer',
    () => ({ end: (view, t) => (held(t) ? [...close(view, t), ...finalizers(t, () => [])] : []) }),
  ],
  'replaces the finalizers of others': [
    'finalizer',
    () => ({ begin: (view, t) => [...finalizers(t, () => [FINALIZER]), ...open(view, t)] }),
  ],
  'knows the account from memory only': [
    'memory',
    () => {
      const known = new Set<string>();
      return {
        begin: (view, t) => {
          known.add(t.metadata.uid!);
          return right.begin(view, t);
        },
        end: (view, t) => {
          if (!held(t)) return [];
          return [...(known.has(t.metadata.uid!) ? close(view, t) : []), ...letGo(t)];
        },
      };
    },
  ],
  'opens another account for whom it does not remember': [
    'memory',
    () => {
      const known = new Set<string>();
      return {
        begin: (view, t) => {
          const again = !known.has(t.metadata.uid!) && account(view, t) !== undefined;
          known.add(t.metadata.uid!);
          const second = accountOf(t);
          const name = `${second.metadata.name}-${view.asOf}`;
          const more = again ? [create(ConfigMaps, { ...second, metadata: { ...second.metadata, name } })] : [];
          return [...right.begin(view, t), ...more];
        },
      };
    },
  ],
  'gives up after a refusal': [
    'error-handling',
    () => ({ end: (view, t) => (view.failure ? letGo(t) : right.end(view, t)) }),
  ],
  'closes the accounts of all': [
    'misoperation',
    () => ({
      end: (view, t) =>
        held(t)
          ? [
              ...view
                .list(ConfigMaps, ACCOUNTS)
                .slice(0, 1)
                .map((c) => remove(ConfigMaps, c)),
              ...letGo(t),
            ]
          : [],
    }),
  ],
});
