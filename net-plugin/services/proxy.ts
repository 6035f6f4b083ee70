import type { Informer } from '@trimtab/client';
import type { Clock, EndpointSlice, Logger, Service } from '@trimtab/machinery';
import { keyOf } from '@trimtab/machinery';
import type { NetworkKernel } from '../kernel.js';
import type { NftOperation } from '../nft/operations.js';
import { elementsOf, type NodeView, type ServiceElements } from './elements.js';
import { serviceKeyOf } from './endpoints.js';
import type { Layout } from './layout.js';
import { ServiceTable, type TableChange } from './service-table.js';

export interface ServiceProxyOptions {
  readonly kernel: NetworkKernel;
  readonly services: Informer<Service>;
  readonly slices: Informer<EndpointSlice>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly layout: Layout;
  readonly node: NodeView;
}

const SLICES_OF_SERVICE = 'net-plugin/service';
const FIRST_RETRY_MS = 250;
const LONGEST_RETRY_MS = 30_000;

/**
 * Carries Services into the kernel: everything in one transaction first, then only what changes. Changes that come while one
 * is being carried out are joined. When the kernel refuses one, everything is loaded anew, with growing pauses.
 */
export class ServiceProxy {
  readonly #o: ServiceProxyOptions;
  readonly #dirty = new Set<string>();
  readonly #registrations: { remove(): void }[] = [];
  #table: ServiceTable;
  #loaded = false;
  #stopped = false;
  #retryMs = FIRST_RETRY_MS;
  #cancelRetry: () => void = () => {};
  #working: Promise<void> | undefined;

  constructor(options: ServiceProxyOptions) {
    this.#o = options;
    this.#table = new ServiceTable(options.layout);
  }

  /** Resolves when the kernel holds every Service of the first list. Rejects when it refuses them. */
  async start(): Promise<void> {
    const { services, slices } = this.#o;
    slices.addIndex(SLICES_OF_SERVICE, (slice) => {
      const key = serviceKeyOf(slice);
      return key ? [key] : [];
    });
    await Promise.all([services.whenSynced(), slices.whenSynced()]);
    await this.#load();
    this.#registrations.push(
      services.addHandler((change) => this.#changed(keyOf(change.object))),
      slices.addHandler((change) => {
        this.#changed(serviceKeyOf(change.object));
        if (change.type === 'updated') this.#changed(serviceKeyOf(change.previous));
      }),
    );
  }

  /** The kernel keeps what it has: connections go on. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#cancelRetry();
    for (const registration of this.#registrations) registration.remove();
    await this.#working;
  }

  /** Resolves when nothing known is left to be carried out. */
  async whenIdle(): Promise<void> {
    while (this.#working) await this.#working;
  }

  #changed(key: string | undefined): void {
    if (key === undefined || this.#stopped) return;
    this.#dirty.add(key);
    this.#work();
  }

  #work(): void {
    if (this.#working || !this.#loaded || this.#stopped) return;
    this.#working = Promise.resolve()
      .then(() => this.#flush())
      .finally(() => {
        this.#working = undefined;
        if (this.#dirty.size > 0) this.#work();
      });
  }

  #elements(key: string): ServiceElements | undefined {
    const service = this.#o.services.get(key);
    return service && elementsOf(service, this.#o.slices.byIndex(SLICES_OF_SERVICE, key), this.#o.node);
  }

  async #flush(): Promise<void> {
    const updates = new Map([...this.#dirty].map((key) => [key, this.#elements(key)]));
    this.#dirty.clear();
    const change = this.#table.change(updates);
    try {
      if (change.operations.length > 0) await this.#apply(change.operations);
      await this.#forget(change);
      this.#retryMs = FIRST_RETRY_MS;
    } catch (error) {
      this.#o.logger.warn({ error: String(error) }, 'service change refused; loading all services anew');
      this.#loaded = false;
      this.#retry();
    }
  }

  #retry(): void {
    if (this.#stopped) return;
    const wait = this.#retryMs;
    this.#retryMs = Math.min(wait * 2, LONGEST_RETRY_MS);
    this.#cancelRetry = this.#o.clock.after(wait, () => {
      this.#load().then(
        () => this.#work(),
        (error: unknown) => {
          this.#o.logger.error({ error: String(error) }, 'services could not be loaded');
          this.#retry();
        },
      );
    });
  }

  async #load(): Promise<void> {
    const table = new ServiceTable(this.#o.layout);
    this.#dirty.clear();
    table.change(new Map(this.#o.services.list().map((service) => [keyOf(service), this.#elements(keyOf(service))])));
    for (const operations of table.rebuild()) await this.#apply(operations);
    this.#table = table;
    this.#loaded = true;
  }

  async #apply(ops: readonly NftOperation[]): Promise<void> {
    await this.#o.kernel.request('nft.apply', { ops });
  }

  /** A UDP client that keeps its port would be sent to a pod that is gone for as long as it keeps talking. */
  async #forget(change: TableChange): Promise<void> {
    const backends = udpBackends(change);
    if (backends.length === 0) return;
    try {
      await this.#o.kernel.request('net.forgetUdp', { backends });
    } catch (error) {
      this.#o.logger.warn(
        { error: String(error) },
        'UDP conversations with removed endpoints go on until they time out',
      );
    }
  }
}

const UDP = '11000000';
const ENDPOINT_ADDRESS = 8;

/** Endpoints of UDP ports that lost a slot, `address . port` in hex. */
function udpBackends(change: TableChange): readonly string[] {
  return [
    ...new Set(
      change.removed
        .filter(({ set, key }) => set === 'endpoints' && key.slice(ENDPOINT_ADDRESS, ENDPOINT_ADDRESS + 8) === UDP)
        .map(({ data }) => data),
    ),
  ];
}
