import { createHash } from 'node:crypto';
import { compareVersions } from '@trimtab/machinery';
import type { Document } from '../http/parts.js';
import type { RemoteService } from './api-service.js';

/** What is known of one aggregated server's group-version. */
export interface RemoteVersion {
  readonly remote: RemoteService;
  /** The `APIResourceList` it answered last; undefined: none yet. */
  readonly resources: readonly RemoteResource[] | undefined;
  readonly available: boolean;
}

/** One entry of an `APIResourceList`. */
export interface RemoteResource {
  readonly name: string;
  readonly singularName?: string;
  readonly namespaced?: boolean;
  readonly kind: string;
  readonly group?: string;
  readonly version?: string;
  readonly verbs?: readonly string[];
  readonly shortNames?: readonly string[];
  readonly categories?: readonly string[];
}

interface VersionInfo {
  readonly groupVersion: string;
  readonly version: string;
}
interface GroupInfo {
  readonly name: string;
  readonly versions: readonly VersionInfo[];
  readonly preferredVersion?: VersionInfo;
}
interface AggregatedGroup {
  readonly metadata: { readonly name?: string };
  readonly versions: readonly { readonly version: string }[];
}

/** A discovery document with aggregated group-versions beside this server's own; itself where they do not belong in it. */
export function mergedDiscovery(
  path: string,
  own: Document | undefined,
  remotes: readonly RemoteVersion[],
): Document | undefined {
  const parts = path.replace(/^\/+|\/+$/g, '').split('/');
  if (parts[0] !== 'apis' || parts.length > 2) return own;
  const group = parts[1];
  if (group !== undefined) return mergedGroup(group, own, remotes);
  if (!own) return undefined;
  const value = JSON.parse(own.body.toString()) as {
    readonly kind: string;
    readonly items?: unknown;
    readonly groups?: unknown;
  };
  if (value.kind === 'APIGroupDiscoveryList')
    return rewritten(own, { ...value, items: mergedItems(value.items as readonly AggregatedGroup[], remotes) });
  return rewritten(own, { ...value, groups: mergedGroups(value.groups as readonly GroupInfo[], remotes) });
}

const byPriority = (a: RemoteVersion, b: RemoteVersion): number =>
  b.remote.versionPriority - a.remote.versionPriority || compareVersions(a.remote.version, b.remote.version);

function groupsOf(remotes: readonly RemoteVersion[]): ReadonlyMap<string, readonly RemoteVersion[]> {
  const groups = new Map<string, RemoteVersion[]>();
  const ordered = [...remotes].sort(
    (a, b) => b.remote.groupPriority - a.remote.groupPriority || (a.remote.group < b.remote.group ? -1 : 1),
  );
  for (const version of ordered)
    groups.set(version.remote.group, [...(groups.get(version.remote.group) ?? []), version]);
  return new Map([...groups].map(([name, versions]) => [name, versions.sort(byPriority)]));
}

function infoOf(name: string, versions: readonly RemoteVersion[], own: readonly VersionInfo[] = []): GroupInfo {
  const remote = versions.map(({ remote: r }) => ({ groupVersion: `${name}/${r.version}`, version: r.version }));
  const all = [...own.filter((v) => !remote.some((r) => r.version === v.version)), ...remote];
  return { name, versions: all, preferredVersion: all[0]! };
}

function mergedGroup(name: string, own: Document | undefined, remotes: readonly RemoteVersion[]): Document | undefined {
  const versions = groupsOf(remotes).get(name);
  if (!versions) return own;
  const before = own ? (JSON.parse(own.body.toString()) as GroupInfo).versions : [];
  const value = { kind: 'APIGroup', apiVersion: 'v1', ...infoOf(name, versions, before) };
  return {
    contentType: 'application/json',
    headers: { vary: 'Accept' },
    ...own,
    body: Buffer.from(`${JSON.stringify(value)}\n`),
  };
}

function mergedGroups(own: readonly GroupInfo[], remotes: readonly RemoteVersion[]): readonly GroupInfo[] {
  const groups = groupsOf(remotes);
  const kept = own.map((g) => (groups.has(g.name) ? infoOf(g.name, groups.get(g.name)!, g.versions) : g));
  const added = [...groups].filter(([name]) => !own.some((g) => g.name === name)).map(([name, v]) => infoOf(name, v));
  return [...kept, ...added];
}

function mergedItems(own: readonly AggregatedGroup[], remotes: readonly RemoteVersion[]): readonly object[] {
  const groups = groupsOf(remotes);
  const kept = own.map((item) => {
    const versions = groups.get(item.metadata.name ?? '');
    if (!versions) return item;
    const mine = item.versions.filter((v) => !versions.some((r) => r.remote.version === v.version));
    return { ...item, versions: [...mine, ...versions.map(aggregatedVersion)] };
  });
  const added = [...groups]
    .filter(([name]) => !own.some((item) => item.metadata.name === name))
    .map(([name, versions]) => ({
      metadata: { name, creationTimestamp: null },
      versions: versions.map(aggregatedVersion),
    }));
  return [...kept, ...added];
}

/** `Stale` tells clients to go on with what they knew: the server did not answer when it was last asked. */
function aggregatedVersion({ remote, resources = [], available }: RemoteVersion): object {
  const kindOf = (r: RemoteResource) => ({
    group: r.group || remote.group,
    version: r.version || remote.version,
    kind: r.kind,
  });
  const optional = (r: RemoteResource) => ({
    ...(r.shortNames?.length ? { shortNames: r.shortNames } : {}),
    ...(r.categories?.length ? { categories: r.categories } : {}),
  });
  const whole = resources.filter((r) => !r.name.includes('/'));
  return {
    version: remote.version,
    resources: whole.map((r) => {
      const subresources = resources
        .filter((s) => s.name.startsWith(`${r.name}/`))
        .map((s) => ({ subresource: s.name.slice(r.name.length + 1), responseKind: kindOf(s), verbs: s.verbs ?? [] }));
      return {
        resource: r.name,
        responseKind: kindOf(r),
        scope: r.namespaced ? 'Namespaced' : 'Cluster',
        singularResource: r.singularName ?? '',
        verbs: r.verbs ?? [],
        ...optional(r),
        ...(subresources.length > 0 ? { subresources } : {}),
      };
    }),
    freshness: available ? 'Current' : 'Stale',
  };
}

export function rewritten(own: Document, value: object): Document {
  const body = Buffer.from(`${JSON.stringify(value)}\n`);
  return {
    ...own,
    body,
    ...(own.etag ? { etag: `"${createHash('sha512').update(body).digest('hex').toUpperCase()}"` } : {}),
  };
}
