import { createHash } from 'node:crypto';
import { apiVersionOf, notAcceptable, parseApiVersion } from '@trimtab/machinery';
import type { KindTable, ServedGroup } from '../registry/kind-table.js';
import type { ServedKind, Subresource } from '../registry/served-kind.js';
import { parseAccept } from './negotiation.js';
import type { Document } from './parts.js';

type Aggregated = 'v2' | 'v2beta1';
const typeOf = (version: Aggregated): string =>
  `application/json;g=apidiscovery.k8s.io;v=${version};as=APIGroupDiscoveryList`;
const offered = [typeOf('v2'), typeOf('v2beta1')];

/**
 * Discovery in its three forms: aggregated v2 and v2beta1 (kubectl 1.27 to 1.29 knows only that), and one document a group
 * and version. Documents are made when first asked for and kept until the kinds change.
 */
export class Discovery {
  readonly #documents = new Map<string, Document>();
  #generation = -1;

  constructor(readonly kinds: KindTable) {}

  /** Undefined for paths that are no discovery, or name a group or version that is not served. */
  document(path: string, accept: string | undefined): Document | undefined {
    const parts = path.replace(/^\/+|\/+$/g, '').split('/');
    if (parts[0] !== 'api' && parts[0] !== 'apis') return undefined;
    if (this.#generation !== this.kinds.generation) {
      this.#documents.clear();
      this.#generation = this.kinds.generation;
    }
    const aggregated = parts.length === 1 ? aggregatedVersion(accept) : undefined;
    const key = `${aggregated ?? ''} ${parts.join('/')}`;
    let document = this.#documents.get(key);
    if (!document) {
      const value = aggregated ? this.#aggregated(parts[0] === 'api', aggregated) : this.#plain(parts);
      if (!value) return undefined;
      document = toDocument(value, aggregated);
      this.#documents.set(key, document);
    }
    return document;
  }

  #groups(core: boolean): readonly ServedGroup[] {
    return this.kinds.groups().filter((g) => (g.group === '') === core);
  }

  #plain(parts: readonly string[]): object | undefined {
    const [root, first, second, third] = parts;
    if (root === 'api') {
      const core = this.#groups(true)[0];
      if (first === undefined)
        return {
          kind: 'APIVersions',
          versions: core?.versions.map((v) => v.version) ?? [],
          serverAddressByClientCIDRs: [{ clientCIDR: '0.0.0.0/0', serverAddress: '' }],
        };
      return second === undefined ? resourceList(core, first) : undefined;
    }
    if (first === undefined)
      return { kind: 'APIGroupList', apiVersion: 'v1', groups: this.#groups(false).map((g) => groupInfo(g)) };
    const group = this.#groups(false).find((g) => g.group === first);
    if (!group || third !== undefined) return undefined;
    return second === undefined
      ? { kind: 'APIGroup', apiVersion: 'v1', ...groupInfo(group) }
      : resourceList(group, second);
  }

  #aggregated(core: boolean, version: Aggregated): object {
    return {
      kind: 'APIGroupDiscoveryList',
      apiVersion: `apidiscovery.k8s.io/${version}`,
      metadata: {},
      items: this.#groups(core).map((g) => ({
        metadata: { ...(g.group ? { name: g.group } : {}), creationTimestamp: null },
        versions: g.versions.map((v) => ({
          version: v.version,
          resources: v.kinds.map(aggregatedResource),
          freshness: 'Current',
        })),
      })),
    };
  }
}

/** Which aggregated form is wanted; undefined for the plain one. 406 when only forms are taken that there are not. */
function aggregatedVersion(accept: string | undefined): Aggregated | undefined {
  const ranges = parseAccept(accept);
  for (const { type, params } of ranges) {
    if (type !== 'application/json' && type !== '*/*') continue;
    if (params.as === undefined) return undefined;
    const known = params.v === 'v2' || params.v === 'v2beta1';
    if (params.as === 'APIGroupDiscoveryList' && params.g === 'apidiscovery.k8s.io' && known)
      return params.v as Aggregated;
  }
  if (ranges.every(({ params }) => params.as !== undefined))
    throw notAcceptable(`only the following media types are accepted: application/json, ${offered.join(', ')}`);
  return undefined;
}

function toDocument(value: object, aggregated: Aggregated | undefined): Document {
  const body = Buffer.from(`${JSON.stringify(value)}\n`);
  return {
    body,
    contentType: aggregated ? typeOf(aggregated) : 'application/json',
    ...(aggregated
      ? {
          etag: `"${createHash('sha512').update(body).digest('hex').toUpperCase()}"`,
          headers: { 'cache-control': 'public' },
        }
      : { headers: { vary: 'Accept' } }),
  };
}

function groupInfo(group: ServedGroup) {
  const versions = group.versions.map((v) => ({
    groupVersion: apiVersionOf({ group: group.group, version: v.version }),
    version: v.version,
  }));
  return { name: group.group, versions, preferredVersion: versions[0] };
}

function responseKind({ group, version, kind }: { group: string; version: string; kind: string }) {
  return { group, version, kind };
}

function aggregatedResource(kind: ServedKind) {
  const subresources = Object.values(kind.subresources);
  return {
    resource: kind.resource,
    responseKind: responseKind(kind),
    scope: kind.namespaced ? 'Namespaced' : 'Cluster',
    singularResource: kind.singular,
    verbs: [...kind.verbs].sort(),
    ...(kind.shortNames.length > 0 ? { shortNames: kind.shortNames } : {}),
    ...(kind.categories.length > 0 ? { categories: kind.categories } : {}),
    ...(subresources.length > 0
      ? {
          subresources: subresources.map((s) => ({
            subresource: s.name,
            responseKind: responseKind(s.type),
            verbs: [...s.verbs].sort(),
          })),
        }
      : {}),
  };
}

function resourceList(group: ServedGroup | undefined, version: string): object | undefined {
  const served = group?.versions.find((v) => v.version === version);
  if (!group || !served) return undefined;
  return {
    kind: 'APIResourceList',
    apiVersion: 'v1',
    groupVersion: apiVersionOf({ group: group.group, version }),
    resources: served.kinds.flatMap((k) => [
      {
        name: k.resource,
        singularName: k.singular,
        namespaced: k.namespaced,
        kind: k.kind,
        verbs: [...k.verbs].sort(),
        ...(k.shortNames.length > 0 ? { shortNames: k.shortNames } : {}),
        ...(k.categories.length > 0 ? { categories: k.categories } : {}),
        ...(k.verbs.includes('watch') ? { storageVersionHash: storageVersionHash(k) } : {}),
      },
      ...Object.values(k.subresources).map((s) => legacySubresource(k, s)),
    ]),
  };
}

/** Changes when objects come to be stored in another version (apiserver: discovery.StorageVersionHash). */
function storageVersionHash({ storage: { apiVersion, kind } }: ServedKind): string {
  const { group, version } = parseApiVersion(apiVersion);
  return createHash('sha256').update(`${group}/${version}/${kind}`).digest().subarray(0, 8).toString('base64');
}

function legacySubresource(kind: ServedKind, sub: Subresource) {
  const foreign = sub.type.group !== kind.group || sub.type.version !== kind.version;
  return {
    name: `${kind.resource}/${sub.name}`,
    singularName: '',
    namespaced: kind.namespaced,
    ...(foreign ? { group: sub.type.group, version: sub.type.version } : {}),
    kind: sub.type.kind,
    verbs: [...sub.verbs].sort(),
  };
}
