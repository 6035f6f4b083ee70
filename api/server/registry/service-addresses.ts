import type { Client } from '@trimtab/client';
import {
  equalJson,
  type IPAddress,
  isReason,
  type KubeObject,
  type Logger,
  type ResourceType,
  type Service,
  type ServiceCIDR,
} from '@trimtab/machinery';
import type { ObjectChange } from '../authorization/store-feed.js';
import type { ObjectReader } from '../contracts.js';

export interface ServiceAddressOptions {
  readonly reader: ObjectReader;
  readonly follow: (resource: string, apply: (change: ObjectChange) => void) => () => void;
  /** Acts as a member of `system:masters`. */
  readonly client: Client;
  readonly logger: Logger;
  /** The range Services get their addresses from. */
  readonly serviceCIDR: string;
}

const network = { group: 'networking.k8s.io', version: 'v1', namespaced: false } as const;
const addresses: ResourceType = { ...network, kind: 'IPAddress', resource: 'ipaddresses' };
const ranges: ResourceType = { ...network, kind: 'ServiceCIDR', resource: 'servicecidrs' };
export const ipAddresses = 'networking.k8s.io/ipaddresses';
const serviceCIDRs = 'networking.k8s.io/servicecidrs';
const managedBy = 'ipaddress.kubernetes.io/managed-by';
const manager = 'ipallocator.k8s.io';
const family = 'ipaddress.kubernetes.io/ip-family';
/** The range the cluster was begun with (KEP-1880). */
const ownRange = 'kubernetes';

/** Whether an IPAddress is one of those kept here, and not somebody's own. */
export const isManagedAddress = (object: KubeObject): boolean => object.metadata.labels?.[managedBy] === manager;

/** The addresses a Service has; none for headless ones and names of elsewhere. */
export const addressesOf = ({ spec }: Service): readonly string[] =>
  (spec?.clusterIPs ?? (spec?.clusterIP ? [spec.clusterIP] : [])).filter((ip) => ip !== 'None' && ip !== '');

/** What ought to stand for an address, and undefined where nothing should. */
export function addressObject(ip: string, service: string | undefined): IPAddress | undefined {
  if (service === undefined) return undefined;
  const [namespace = '', name = ''] = service.split('/');
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'IPAddress',
    metadata: { name: ip, labels: { [managedBy]: manager, [family]: ip.includes(':') ? 'IPv6' : 'IPv4' } },
    spec: { parentRef: { group: '', resource: 'services', namespace, name } },
  } as IPAddress;
}

/** Whether Services get addresses of a range, told in its status. */
export function rangeStatus(
  { spec, status, metadata }: ServiceCIDR,
  served: string,
  now: string,
): ServiceCIDR['status'] {
  const ready = (spec?.cidrs ?? []).every((range) => range === served);
  const condition = ready
    ? { type: 'Ready', status: 'True', reason: '', message: 'Kubernetes Service CIDR is ready' }
    : {
        type: 'Ready',
        status: 'False',
        reason: 'NotServed',
        message: `Services of this cluster get their addresses from ${served} alone`,
      };
  const before = status?.conditions?.find((c) => c.type === 'Ready');
  const since = before?.status === condition.status ? before.lastTransitionTime : now;
  const others = (status?.conditions ?? []).filter((c) => c.type !== 'Ready');
  const observedGeneration = metadata.generation;
  return {
    conditions: [...others, { ...condition, lastTransitionTime: since, observedGeneration }],
  } as ServiceCIDR['status'];
}

/**
 * Keeps an IPAddress for every cluster IP of a Service, as `kubectl get ipaddresses` shows them, and the ServiceCIDR they are
 * of: made and removed shortly after the Service, put right at the start and when somebody else removes one. What takes an
 * address is the Service itself. Gives the function that ends it.
 */
export function keepServiceAddresses(
  { reader, follow, client, logger, serviceCIDR }: ServiceAddressOptions,
  now: () => string,
): () => void {
  const owners = new Map<string, string>();
  const stale = new Set<string>();
  let running = false;
  let stopped = false;

  const touch = (ip: string) => {
    stale.add(ip);
    if (!running) void work();
  };
  const apply = ({ key, object, previous }: ObjectChange) => {
    const has = object ? addressesOf(object as Service) : [];
    for (const ip of previous ? addressesOf(previous as Service) : [])
      if (!has.includes(ip) && owners.get(ip) === key) {
        owners.delete(ip);
        touch(ip);
      }
    for (const ip of has)
      if (owners.get(ip) !== key) {
        owners.set(ip, key);
        touch(ip);
      }
  };

  async function work(): Promise<void> {
    running = true;
    // What is told of before the first write belongs to the same round.
    await Promise.resolve();
    for (const ip of stale) {
      stale.delete(ip);
      if (!stopped)
        await mend(ip).catch((error: unknown) => {
          // What was on its way when the server closed comes to a closed store.
          if (!stopped) logger.warn({ err: error, address: ip }, 'an IPAddress could not be written');
        });
    }
    running = false;
  }

  async function mend(ip: string): Promise<void> {
    const wanted = addressObject(ip, owners.get(ip));
    const there = reader.get(ipAddresses, '', ip) as IPAddress | undefined;
    if (there && (!isManagedAddress(there) || equalJson(there.spec, wanted?.spec))) return;
    if (there)
      await client
        .delete(addresses, { name: ip }, { preconditions: { uid: there.metadata.uid ?? '' } })
        .catch(unlessGone);
    if (wanted) await client.create(addresses, wanted).catch(unlessGone);
  }

  async function tellRange(range: ServiceCIDR): Promise<void> {
    const status = rangeStatus(range, serviceCIDR, now());
    if (equalJson(status, range.status)) return;
    await client
      .update(ranges, { ...range, status } as ServiceCIDR, { subresource: 'status' })
      .catch(unlessGone)
      .catch((error: unknown) => logger.warn({ err: error }, 'the status of a ServiceCIDR could not be written'));
  }

  for (const service of reader.list('/services'))
    apply({ resource: '/services', key: `${service.metadata.namespace}/${service.metadata.name}`, object: service });
  for (const object of reader.list(ipAddresses)) touch(object.metadata.name ?? '');
  for (const range of reader.list(serviceCIDRs)) void tellRange(range as ServiceCIDR);
  const stops = [
    follow('/services', apply),
    follow(ipAddresses, ({ key, object }) => {
      if (!object) touch(key.slice(1));
    }),
    follow(serviceCIDRs, ({ object }) => void (object && tellRange(object as ServiceCIDR))),
  ];
  if (!reader.get(serviceCIDRs, '', ownRange))
    void client
      .create(ranges, { metadata: { name: ownRange }, spec: { cidrs: [serviceCIDR] } } as ServiceCIDR)
      .catch(unlessGone)
      .catch((error: unknown) => logger.warn({ err: error }, 'the ServiceCIDR of the cluster could not be made'));
  return () => {
    stopped = true;
    for (const stop of stops) stop();
  };
}

/** Somebody else was first; what follows from that is told by the store. */
function unlessGone(error: unknown): void {
  if (!isReason(error, 'AlreadyExists', 'Conflict', 'NotFound')) throw error;
}
