import {
  addQuantities,
  type Clock,
  compareQuantities,
  formatQuantity,
  type ParsedQuantity,
  type Pod,
  parseQuantity,
  quantityOf,
  type ResourceQuota,
  type ResourceRequirements,
  subQuantities,
} from '@trimtab/machinery';
import type { Operation } from '@trimtab/store';
import type { ObjectChange } from '../authorization/store-feed.js';
import type { AdmissionAttributes, AdmissionPlugin, ObjectReader } from '../contracts.js';
import { refuse } from './attributes.js';
import { type Follow, QuotaLedger } from './quota-ledger.js';
import { inScope, type Usage, usageOf } from './quota-usage.js';

/** A charge whose object has not come into the store by then is of a write that failed. */
const chargeLifeMs = 10_000;

interface Charge {
  readonly uid: string;
  readonly usage: Usage;
  readonly at: number;
}

export interface ResourceQuotaOptions {
  readonly reader: ObjectReader;
  readonly clock: Clock;
  readonly follow: Follow;
  /**
   * Other servers write to the same store. What is admitted is then charged in the quota's status by the very commit that
   * stores it, so that of two servers only one can take the last place; the other looks again.
   */
  readonly sharedStore?: boolean;
}

/**
 * Refuses what would go beyond a ResourceQuota of the namespace. Usage is what the stored objects use, plus what was admitted
 * a moment ago and is not stored yet, so two creations at once cannot both take the last place. Runs last: what it admits
 * is meant to be stored. Dry runs are checked and not charged.
 */
export function resourceQuota({ reader, clock, follow, sharedStore = false }: ResourceQuotaOptions): AdmissionPlugin {
  const charges = new Map<string, readonly Charge[]>();
  const followed = new Set<string>();
  const ledger = new QuotaLedger(reader, follow);

  return {
    name: 'ResourceQuota',
    validate(attributes) {
      const { operation, type, subresource, object, namespace, dryRun } = attributes;
      if (!object || !type.namespaced || (operation !== 'CREATE' && operation !== 'UPDATE')) return;
      const resource = `${type.group}/${type.resource}`;
      if (!countsOn(resource, operation, subresource)) return;
      const quotas = [...reader.list('/resourcequotas', namespace)] as readonly ResourceQuota[];
      if (quotas.length === 0) return;
      const added = difference(
        usageOf(resource, object),
        attributes.oldObject && usageOf(resource, attributes.oldObject),
      );
      const relevant = quotas.filter(({ spec }) => inScope(spec, resource, object));
      for (const quota of relevant) check(attributes, quota, added);
      if (dryRun || relevant.length === 0) return;
      if (sharedStore) {
        attributes.request?.together.push(...relevant.flatMap((quota) => charge(quota, ledger.used(quota), added)));
        return;
      }
      if (!followed.has(resource)) follow(resource, landed);
      followed.add(resource);
      charges.set(namespace, [...alive(namespace), { uid: object.metadata.uid ?? '', usage: added, at: clock.now() }]);
    },
  };

  /** What is stored counts as such from then on. */
  function landed({ key, object }: ObjectChange): void {
    const namespace = key.slice(0, key.indexOf('/'));
    const open = charges.get(namespace);
    if (!open || !object) return;
    const rest = open.filter(({ uid }) => uid !== object.metadata.uid);
    if (rest.length > 0) charges.set(namespace, rest);
    else charges.delete(namespace);
  }

  function alive(namespace: string): readonly Charge[] {
    return (charges.get(namespace) ?? []).filter(({ at }) => clock.now() - at < chargeLifeMs);
  }

  function check(attributes: AdmissionAttributes, quota: ResourceQuota, added: Usage): void {
    const hard = quota.spec?.hard ?? {};
    const bounded = [...added].filter(([name]) => hard[name] !== undefined);
    requireStated(attributes, quota);
    if (bounded.every(([, amount]) => amount.nano <= 0n)) return;
    const stored = ledger.used(quota);
    const open = alive(attributes.namespace);
    const used = new Map(
      bounded.map(([name]) => [
        name,
        open.reduce(
          (sum, { usage }) => addQuantities(sum, usage.get(name) ?? quantityOf(0)),
          stored.get(name) ?? quantityOf(0),
        ),
      ]),
    );
    const beyond = bounded.filter(([name, amount]) => {
      const total = addQuantities(used.get(name) ?? quantityOf(0), amount);
      return amount.nano > 0n && compareQuantities(total, parseQuantity(hard[name] ?? '0')) > 0;
    });
    if (beyond.length === 0) return;
    const names = beyond.map(([name]) => name).sort();
    const list = (value: (name: string) => ParsedQuantity) =>
      names.map((n) => `${n}=${formatQuantity(value(n))}`).join(',');
    throw refuse(
      attributes,
      `exceeded quota: ${quota.metadata.name}, requested: ${list((n) => added.get(n) ?? quantityOf(0))}, used: ${list((n) => used.get(n) ?? quantityOf(0))}, limited: ${list((n) => parseQuantity(hard[n] ?? '0'))}`,
    );
  }
}

/** Only some kinds can come to use more by an update. */
function countsOn(resource: string, operation: AdmissionAttributes['operation'], subresource: string): boolean {
  if (operation === 'CREATE') return subresource === '';
  if (resource === '/pods') return subresource === 'resize';
  return subresource === '' && (resource === '/services' || resource === '/persistentvolumeclaims');
}

/** Where a quota bounds compute resources, every container has to say how much it wants. */
function requireStated(attributes: AdmissionAttributes, quota: ResourceQuota): void {
  if (attributes.type.group !== '' || attributes.type.resource !== 'pods') return;
  const { spec } = attributes.object as Pod;
  const missing = new Map<string, string[]>();
  for (const name of Object.keys(quota.spec?.hard ?? {})) {
    const match = /^(?:(requests|limits)\.)?(cpu|memory)$/.exec(name);
    if (!match) continue;
    const [, kind = 'requests', resource = ''] = match;
    const stated = (resources: ResourceRequirements | undefined) =>
      resources?.[kind as 'requests' | 'limits']?.[resource] !== undefined;
    if (stated(spec?.resources)) continue;
    for (const container of [...(spec?.containers ?? []), ...(spec?.initContainers ?? [])])
      if (!stated(container.resources)) missing.set(name, [...(missing.get(name) ?? []), container.name]);
  }
  if (missing.size === 0) return;
  const parts = [...missing]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, containers]) => `${name} for: ${containers.join(',')}`);
  throw refuse(attributes, `failed quota: ${quota.metadata.name}: must specify ${parts.join('; ')}`);
}

/** The quota with what it is about to be used in its status; nothing where it does not bound what is asked for. */
function charge(quota: ResourceQuota, used: Usage, added: Usage): readonly Operation[] {
  const hard = quota.spec?.hard ?? {};
  if (![...added].some(([name, amount]) => hard[name] !== undefined && amount.nano > 0n)) return [];
  const { namespace = '', name = '', resourceVersion } = quota.metadata;
  const sum = Object.keys(hard).map((each) => {
    const amount = addQuantities(used.get(each) ?? quantityOf(0), added.get(each) ?? quantityOf(0));
    return [each, formatQuantity(amount)] as const;
  });
  const object = { ...quota, status: { ...quota.status, hard, used: Object.fromEntries(sum) } } as ResourceQuota;
  const key = { resource: '/resourcequotas', namespace, name };
  return [{ type: 'put', key, object, expect: Number(resourceVersion) }];
}

function difference(now: Usage, before: Usage | undefined): Map<string, ParsedQuantity> {
  const result = new Map(now);
  for (const [name, amount] of before ?? []) result.set(name, subQuantities(result.get(name) ?? quantityOf(0), amount));
  return result;
}
