import {
  addQuantities,
  equalJson,
  type ParsedQuantity,
  type ResourceQuota,
  type ResourceQuotaSpec,
  subQuantities,
} from '@trimtab/machinery';
import type { ObjectChange } from '../authorization/store-feed.js';
import type { ObjectReader } from '../contracts.js';
import { inScope, quotaResources, quotaUsage, type Usage, usageOf } from './quota-usage.js';

/** Tells of every change of a resource from now on, as it becomes durable; gives the function that ends it. */
export type Follow = (resource: string, apply: (change: ObjectChange) => void) => () => void;

interface Book {
  readonly spec: ResourceQuotaSpec | undefined;
  readonly used: Map<string, ParsedQuantity>;
}

/**
 * What stored objects use of each quota. The first question about a quota walks its namespace, from then on every change is
 * added and subtracted, so that admission costs the same however full the namespace is.
 */
export class QuotaLedger {
  /** By namespace, then quota. */
  readonly #books = new Map<string, Map<string, Book>>();
  readonly #followed = new Set<string>();

  constructor(
    readonly reader: ObjectReader,
    readonly follow: Follow,
  ) {}

  used(quota: ResourceQuota): ReadonlyMap<string, ParsedQuantity> {
    const { namespace = '', name = '' } = quota.metadata;
    const books = this.#books.get(namespace) ?? new Map<string, Book>();
    this.#books.set(namespace, books);
    const known = books.get(name);
    if (known && (known.spec === quota.spec || equalJson(known.spec, quota.spec))) return known.used;
    for (const resource of ['/resourcequotas', ...quotaResources(quota.spec)]) {
      if (this.#followed.has(resource)) continue;
      this.#followed.add(resource);
      this.follow(resource, (change) => this.#apply(change));
    }
    const book = { spec: quota.spec, used: quotaUsage(this.reader, namespace, quota.spec) };
    books.set(name, book);
    return book.used;
  }

  #apply({ resource, key, object, previous }: ObjectChange): void {
    const slash = key.indexOf('/');
    const books = this.#books.get(key.slice(0, slash));
    if (!books) return;
    for (const { spec, used } of books.values()) {
      if (previous && inScope(spec, resource, previous)) add(used, usageOf(resource, previous), subQuantities);
      if (object && inScope(spec, resource, object)) add(used, usageOf(resource, object), addQuantities);
    }
    if (resource === '/resourcequotas' && !object) books.delete(key.slice(slash + 1));
    if (books.size === 0) this.#books.delete(key.slice(0, slash));
  }
}

function add(
  used: Map<string, ParsedQuantity>,
  usage: Usage,
  operation: (a: ParsedQuantity, b: ParsedQuantity) => ParsedQuantity,
): void {
  for (const [name, amount] of usage) {
    const sum = used.get(name);
    if (sum) used.set(name, operation(sum, amount));
  }
}
