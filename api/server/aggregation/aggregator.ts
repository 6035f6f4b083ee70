import type { Client } from '@trimtab/client';
import {
  type APIService,
  APIServices,
  type Clock,
  isReason,
  type KubeObject,
  type Logger,
  serviceUnavailable,
} from '@trimtab/machinery';
import type { Follow } from '../admission/quota-ledger.js';
import type { KeyPair } from '../certificates/certificate.js';
import type { ObjectReader } from '../contracts.js';
import type { Document, Documents } from '../http/parts.js';
import { endpointResolver, type ServiceResolver } from '../webhook/service-resolver.js';
import {
  apiServices,
  local,
  localApiService,
  passed,
  type RemoteService,
  remoteOf,
  type Standing,
  standingOf,
  withStanding,
} from './api-service.js';
import { mergedDiscovery, type RemoteResource, type RemoteVersion } from './discovery.js';
import { asProtobuf, mergedV2, mergedV3Index, type OpenApiV2 } from './openapi.js';
import { readJson } from './read-json.js';
import { RemoteTransport } from './transport.js';

export interface AggregatorOptions {
  readonly reader: ObjectReader;
  readonly follow: Follow;
  readonly clock: Clock;
  readonly logger: Logger;
  /** With which the server speaks for its callers; asked for at each use, for it is renewed. */
  readonly client: () => KeyPair;
  /** Where a Service is reached; its ready endpoints unless said otherwise. */
  readonly services?: ServiceResolver;
}

/** What this server answers itself: `(group, version, custom)`, now and after every change. */
export interface LocalVersions {
  list(): readonly { readonly group: string; readonly version: string; readonly custom: boolean }[];
  changed(listener: () => void): () => void;
}

interface Known {
  readonly remote: RemoteService;
  standing: Standing | undefined;
  resources: readonly RemoteResource[] | undefined;
  v2: OpenApiV2 | undefined;
  v3: string | undefined;
}

const checkEveryMs = 30_000;
const retryAfterMs = 5_000;
const gatherMs = 20;
const answerWithinMs = 5_000;

/**
 * Aggregated API servers: what an APIService gives to another server is passed on to it, and stands beside this server's own
 * groups in discovery and OpenAPI. Servers are asked how they are when their APIService, Service or endpoints change, and
 * every 30 s; where there is none, nothing runs.
 */
export class Aggregator {
  readonly transport: RemoteTransport;
  readonly #remotes = new Map<string, Known>();
  readonly #stops: (() => void)[] = [];
  #cancel: (() => void) | undefined;
  #checking = false;
  #writer: Client | undefined;
  #locals: LocalVersions | undefined;
  #revision = 0;

  constructor(readonly options: AggregatorOptions) {
    this.transport = new RemoteTransport(options.services ?? endpointResolver(options.reader), options.client);
    for (const object of options.reader.list(apiServices)) this.#apply(object.metadata.name ?? '', object);
    const about = (namespace: string, service: string | undefined) => {
      for (const { remote } of this.#remotes.values())
        if (remote.service.namespace === namespace && remote.service.name === service) this.#soon(gatherMs);
    };
    this.#stops.push(
      options.follow(apiServices, ({ key, object }) => this.#apply(key.slice(1), object)),
      options.follow('/services', ({ key }) => about(...(key.split('/') as [string, string]))),
      options.follow('discovery.k8s.io/endpointslices', ({ key, object, previous }) =>
        about(key.split('/')[0]!, (object ?? previous)?.metadata.labels?.['kubernetes.io/service-name']),
      ),
    );
  }

  /** Changes whenever what discovery says of other servers may have. */
  get revision(): number {
    return this.#revision;
  }

  /** Who answers this path; undefined: this server. Throws a 503 where that other server is known not to answer. */
  route(path: string): RemoteService | undefined {
    if (this.#remotes.size === 0) return undefined;
    const [, group, version] = /^(?:\/openapi\/v3)?\/apis\/([^/]+)\/([^/]+)(?:\/|$)/.exec(path) ?? [];
    const known = group === undefined ? undefined : this.#remotes.get(`${version}.${group}`);
    if (known?.standing?.available === false)
      throw serviceUnavailable(`service unavailable: ${known.standing.message}`);
    return known?.remote;
  }

  /** This server's documents, with those of the others among them. */
  documents(own: Documents): Documents {
    return (path, accept, query) => {
      const document = own(path, accept, query);
      if (this.#remotes.size === 0) return document;
      const versions = [...this.#remotes.values()].map(
        ({ remote, resources, standing }): RemoteVersion => ({
          remote,
          resources,
          available: standing?.available === true,
        }),
      );
      if (path === '/openapi/v3' || path === '/openapi/v3/')
        return mergedV3Index(document, [...this.#remotes.values()]);
      if (path === '/openapi/v2') return this.#whole(document, () => own(path, 'application/json', query));
      return mergedDiscovery(path, document, versions);
    };
  }

  #merged: { readonly from: Document; readonly revision: number; readonly document: Document } | undefined;

  #whole(own: Document | undefined, asJson: () => Document | undefined): Document | undefined {
    if (!own) return undefined;
    if (this.#merged?.from === own && this.#merged.revision === this.#revision) return this.#merged.document;
    const others = [...this.#remotes.values()].flatMap(({ v2, remote }) => (v2 ? [{ v2, remote }] : []));
    if (others.length === 0) return own;
    const json = asJson();
    if (!json) return own;
    const merged = mergedV2(json, others);
    const document = own === json ? merged : asProtobuf(merged, own.contentType);
    this.#merged = { from: own, revision: this.#revision, document };
    return document;
  }

  /** Begins to write down how APIServices stand, and one for everything this server answers itself. */
  keepWritten(client: Client, locals: LocalVersions): void {
    this.#writer = client;
    this.#locals = locals;
    this.#stops.push(locals.changed(() => this.#soon(gatherMs)));
    this.#soon(gatherMs);
  }

  close(): void {
    for (const stop of this.#stops) stop();
    this.#cancel?.();
    this.transport.close();
  }

  #apply(name: string, object: KubeObject | undefined): void {
    const remote = object && remoteOf(object as APIService);
    const before = this.#remotes.get(name);
    if (!remote) {
      if (!before && object?.metadata.labels?.['kube-aggregator.kubernetes.io/automanaged']) return;
      this.#remotes.delete(name);
      this.transport.forget(name);
      if (before || object) this.#changed();
      return;
    }
    if (before && JSON.stringify(before.remote) === JSON.stringify(remote)) return;
    this.#remotes.set(name, { remote, standing: undefined, resources: undefined, v2: undefined, v3: undefined });
    this.#changed();
  }

  #changed(): void {
    this.#revision++;
    this.#soon(gatherMs);
  }

  #soon(ms: number): void {
    if (ms === gatherMs) this.#cancel?.();
    else if (this.#cancel) return;
    this.#cancel = this.options.clock.after(ms, () => {
      this.#cancel = undefined;
      if (this.#checking) return this.#soon(gatherMs);
      this.#checking = true;
      this.#run()
        .catch((error: unknown) => this.options.logger.warn({ err: error }, 'APIServices could not be looked after'))
        .finally(() => {
          this.#checking = false;
          if (this.#remotes.size === 0) return;
          const allWell = [...this.#remotes.values()].every((k) => k.standing?.available);
          this.#soon(allWell ? checkEveryMs : retryAfterMs);
        });
    });
  }

  async #run(): Promise<void> {
    await Promise.all([...this.#remotes.values()].map((known) => this.#check(known)));
    if (this.#writer) await this.#write(this.#writer);
  }

  async #check(known: Known): Promise<void> {
    const { remote } = known;
    const place = `/apis/${remote.group}/${remote.version}`;
    let standing = standingOf(remote, this.options.reader);
    if (!standing) {
      try {
        const list = (await readJson(this.transport, remote, place, answerWithinMs)) as {
          readonly resources?: unknown;
        };
        if (!Array.isArray(list.resources)) throw new Error('the answer is no APIResourceList');
        known.resources = list.resources as readonly RemoteResource[];
        await this.#readOpenApi(known);
        standing = passed;
      } catch (error) {
        const why = error instanceof Error ? error.message : String(error);
        standing = {
          available: false,
          reason: 'FailedDiscoveryCheck',
          message: `failing or missing response from https://${remote.service.name}.${remote.service.namespace}.svc:${remote.service.port}${place}: ${why}`,
        };
      }
    }
    known.standing = standing;
    this.#revision++;
  }

  /** A server that describes nothing is none the worse for it. */
  async #readOpenApi(known: Known): Promise<void> {
    const read = (path: string) => readJson(this.transport, known.remote, path, answerWithinMs).catch(() => undefined);
    const place = `apis/${known.remote.group}/${known.remote.version}`;
    const index = (await read('/openapi/v3')) as
      | { readonly paths?: Readonly<Record<string, { readonly serverRelativeURL?: string }>> }
      | undefined;
    known.v3 = index?.paths?.[place]?.serverRelativeURL;
    known.v2 = (await read('/openapi/v2')) as OpenApiV2 | undefined;
  }

  async #write(client: Client): Promise<void> {
    const { reader, clock } = this.options;
    const mine = this.#locals?.list() ?? [];
    const names = new Set(mine.map(({ group, version }) => `${version}.${group}`));
    await Promise.all(
      mine.map(async ({ group, version, custom }) => {
        const wanted = localApiService(group, version, custom);
        if (!reader.get(apiServices, '', wanted.metadata.name!))
          await ignoring('AlreadyExists', client.create(APIServices, wanted));
      }),
    );
    for (const object of [...reader.list(apiServices)] as APIService[]) {
      const name = object.metadata.name ?? '';
      const known = this.#remotes.get(name);
      const managed = object.metadata.labels?.['kube-aggregator.kubernetes.io/automanaged'] !== undefined;
      if (!known && managed && !names.has(name)) {
        await ignoring('NotFound', client.delete(APIServices, { name }));
        continue;
      }
      const standing = known ? known.standing : local;
      const next = standing && withStanding(object, standing, clock.now());
      if (next && next !== object)
        await ignoring('Conflict', ignoring('NotFound', client.update(APIServices, next, { subresource: 'status' })));
    }
  }
}

async function ignoring(reason: string, done: Promise<unknown>): Promise<unknown> {
  return done.catch((error: unknown) => {
    if (!isReason(error, reason)) throw error;
  });
}
