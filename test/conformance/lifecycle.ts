import type { Client, WatchEvent } from '@trimtab/client';
import type { KubeObject, ResourceType } from '@trimtab/machinery';
import type { ApiCluster } from '../api-cluster.js';

/** What the tests of single kinds share: every verb once, as the conformance suite goes through them. */

export interface Lifecycle {
  readonly group: string;
  readonly version: string;
  readonly resource: string;
  /** Without apiVersion, kind and metadata; names it where the name matters. */
  readonly body: (name: string) => object;
  /** Names that the kind would not take as they come. */
  readonly name?: (base: string) => string;
  /** A status to write through `/status`. */
  readonly status?: object;
  /** Without deletecollection (namespaces). */
  readonly noCollection?: boolean;
}

export const typeOf = (api: ApiCluster, group: string, version: string, resource: string): ResourceType => {
  const kind = api.server.kinds.find(group, version, resource);
  if (!kind) throw new Error(`${group}/${version} ${resource} is not served`);
  return kind;
};

let made = 0;

/** A namespace of its own for one test. */
export async function namespaceFor(api: ApiCluster): Promise<string> {
  const name = `conformance-${++made}`;
  const namespaces = typeOf(api, '', 'v1', 'namespaces');
  await api.client.create(namespaces, { apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
  return name;
}

export interface Watching {
  readonly events: readonly WatchEvent[];
  /** Resolves with the first event that fits; rejects when the watch ends before. */
  until(fits: (event: WatchEvent) => boolean): Promise<WatchEvent>;
  stop(): void;
}

export function watching(client: Client, type: ResourceType, options: Parameters<Client['watch']>[1]): Watching {
  const events: WatchEvent[] = [];
  const waiters = new Set<() => void>();
  let ended: Error | undefined;
  const told = () => {
    for (const waiter of [...waiters]) waiter();
  };
  const subscription = client.watch(type, options).subscribe({
    next: (event) => {
      events.push(event);
      told();
    },
    error: (error: Error) => {
      ended = error;
      told();
    },
    complete: () => {
      ended = new Error('the watch ended');
      told();
    },
  });
  return {
    events,
    until: (fits) =>
      new Promise((resolve, reject) => {
        const look = () => {
          const found = events.find(fits);
          if (!found && !ended) return;
          waiters.delete(look);
          if (found) resolve(found);
          else reject(ended);
        };
        waiters.add(look);
        look();
      }),
    stop: () => subscription.unsubscribe(),
  };
}

/** Create, get, list, watch, patch, update, status, delete and deletecollection of one kind. */
export async function wholeLife(api: ApiCluster, kind: Lifecycle): Promise<void> {
  const { client } = api;
  const type = typeOf(api, kind.group, kind.version, kind.resource);
  const namespace = type.namespaced ? await namespaceFor(api) : undefined;
  const label = `life-${++made}`;
  const labels = { conformance: label };
  const selection = { namespace, labelSelector: `conformance=${label}` };
  const nameOf = (base: string) => (kind.name ?? ((n) => n))(base);
  const object = (base: string): KubeObject => ({
    apiVersion: kind.group ? `${kind.group}/${kind.version}` : kind.version,
    kind: type.kind,
    metadata: { name: nameOf(base), ...(namespace ? { namespace } : {}), labels },
    ...kind.body(nameOf(base)),
  });

  const watch = watching(client, type, {
    ...selection,
    resourceVersion: (await client.list(type, selection)).metadata.resourceVersion,
  });
  const created = await client.create(type, object(`${label}-a`));
  const key = { namespace, name: created.metadata.name! };
  expect((await watch.until((e) => e.type === 'ADDED')).object.metadata.uid).toBe(created.metadata.uid);
  expect(await client.get(type, key)).toEqual(created);
  expect((await client.list(type, selection)).items).toHaveLength(1);
  expect((await client.list(type, { labelSelector: selection.labelSelector })).items).toHaveLength(1);

  const patched = await client.patch(type, key, {
    type: 'merge',
    body: { metadata: { annotations: { patched: 'true' } } },
  });
  expect(patched.metadata.annotations).toMatchObject({ patched: 'true' });
  await watch.until((e) => e.type === 'MODIFIED' && e.object.metadata.annotations?.patched === 'true');
  const annotations = { ...patched.metadata.annotations, updated: 'true' };
  const updated = await client.update(type, { ...patched, metadata: { ...patched.metadata, annotations } });
  expect(updated.metadata.annotations).toMatchObject({ updated: 'true' });
  await watch.until((e) => e.type === 'MODIFIED' && e.object.metadata.annotations?.updated === 'true');

  if (kind.status) {
    const body = { metadata: { annotations: { patchedstatus: 'true' } }, status: kind.status };
    const status = await client.patch(type, key, { type: 'merge', body }, { subresource: 'status' });
    expect(status).toMatchObject(body);
    expect(await client.get(type, key, { subresource: 'status' })).toEqual(status);
    const again = { ...status, metadata: { ...status.metadata, annotations: { updatedstatus: 'true' } } };
    expect((await client.update(type, again, { subresource: 'status' })).metadata.annotations).toEqual({
      updatedstatus: 'true',
    });
  }

  await client.delete(type, key);
  await client.patch(type, key, { type: 'merge', body: { metadata: { finalizers: null } } }).catch(() => undefined);
  await watch.until((e) => e.type === 'DELETED');
  watch.stop();
  await expect(client.get(type, key)).rejects.toMatchObject({ reason: 'NotFound' });
  if (kind.noCollection) return;
  for (const base of ['b', 'c', 'd']) await client.create(type, object(`${label}-${base}`));
  expect((await client.list(type, selection)).items).toHaveLength(3);
  await client.deleteCollection(type, selection);
  for (const left of (await client.list(type, selection)).items)
    await client.patch(
      type,
      { namespace, name: left.metadata.name! },
      { type: 'merge', body: { metadata: { finalizers: null } } },
    );
  expect((await client.list(type, selection)).items).toEqual([]);
}
