import { createHash } from 'node:crypto';
import { encodeOpenapiV2, type OpenApiResource, openapiV2, openapiV3 } from '@trimtab/machinery';
import type { KindTable } from '../registry/kind-table.js';
import type { ServedKind } from '../registry/served-kind.js';
import type { Document } from './parts.js';
import { versionInfo } from './version.js';

/** Clients ask with an at sign, which their own parsers of Content-Type then refuse: the answer has a dot there. */
const v2ProtobufAsked = /application\/com\.github\.proto-openapi\.spec\.v2[@.]v1\.0\+protobuf/;
const v2Protobuf = 'application/com.github.proto-openapi.spec.v2.v1.0+protobuf';
const options = { title: 'Kubernetes', version: versionInfo.gitVersion };
const oneYear = 365 * 86_400_000;

interface Made {
  readonly kinds: readonly ServedKind[];
  readonly body: Buffer;
  readonly hash: string;
}

/**
 * The OpenAPI documents of what is served, written when asked for. A group-version's document is written again only when
 * its own kinds have changed. Addresses in the version 3 index carry the document's hash: with it, it can be kept forever.
 */
export class OpenApi {
  readonly #versions = new Map<string, Made>();
  readonly #v2 = new Map<string, Document>();
  #generation = -1;

  constructor(
    readonly kinds: KindTable,
    readonly now: () => number,
  ) {}

  /** Undefined for paths that are no OpenAPI document. */
  document(path: string, accept: string | undefined, query: URLSearchParams): Document | undefined {
    if (path === '/openapi/v2') return this.#version2(v2ProtobufAsked.test(accept ?? ''));
    if (path === '/openapi/v3' || path === '/openapi/v3/') return this.#index();
    if (!path.startsWith('/openapi/v3/')) return undefined;
    const place = path.slice('/openapi/v3/'.length).replace(/\/+$/, '');
    const made = this.#version(place);
    if (!made) return undefined;
    const asked = query.get('hash');
    if (asked !== null && asked !== made.hash)
      return {
        contentType: 'text/plain',
        body: Buffer.alloc(0),
        status: 301,
        headers: { location: `/openapi/v3/${place}?hash=${made.hash}` },
      };
    return {
      contentType: 'application/json',
      body: made.body,
      etag: `"${made.hash}"`,
      headers:
        asked === null
          ? {}
          : { 'cache-control': 'public, immutable', expires: new Date(this.now() + oneYear).toUTCString() },
    };
  }

  #places(): ReadonlyMap<string, readonly ServedKind[]> {
    const places = new Map<string, readonly ServedKind[]>();
    for (const { group, versions } of this.kinds.groups())
      for (const { version, kinds } of versions)
        places.set(group === '' ? `api/${version}` : `apis/${group}/${version}`, kinds);
    return places;
  }

  #index(): Document {
    const paths: Record<string, { serverRelativeURL: string }> = {};
    for (const place of this.#places().keys())
      paths[place] = { serverRelativeURL: `/openapi/v3/${place}?hash=${this.#version(place)!.hash}` };
    const body = Buffer.from(JSON.stringify({ paths }));
    return { contentType: 'application/json', body, etag: `"${hashOf(body)}"` };
  }

  #version(place: string): Made | undefined {
    const kinds = this.#places().get(place);
    if (!kinds) return undefined;
    const known = this.#versions.get(place);
    if (known && sameMembers(known.kinds, kinds)) return known;
    const body = Buffer.from(JSON.stringify(openapiV3(kinds[0]!, kinds.map(resourceOf), options)));
    const made = { kinds, body, hash: hashOf(body) };
    this.#versions.set(place, made);
    return made;
  }

  #version2(protobuf: boolean): Document {
    if (this.#generation !== this.kinds.generation) {
      this.#v2.clear();
      this.#generation = this.kinds.generation;
    }
    const key = protobuf ? 'protobuf' : 'json';
    let document = this.#v2.get(key);
    if (!document) {
      const whole = openapiV2([...this.kinds.all()].map(resourceOf), options);
      const body = Buffer.from(protobuf ? encodeOpenapiV2(whole) : JSON.stringify(whole));
      document = { contentType: protobuf ? v2Protobuf : 'application/json', body, etag: `"${hashOf(body)}"` };
      this.#v2.set(key, document);
    }
    return document;
  }
}

function resourceOf(kind: ServedKind): OpenApiResource {
  const { group, version, resource, namespaced } = kind;
  return {
    type: { group, version, kind: kind.kind, resource, namespaced },
    verbs: kind.verbs,
    subresources: Object.values(kind.subresources).map((s) => ({ name: s.name, verbs: s.verbs, ...s.type })),
    ...(kind.custom ? { schema: kind.schema } : {}),
  };
}

function sameMembers(a: readonly unknown[], b: readonly unknown[]): boolean {
  return a === b || (a.length === b.length && a.every((x, i) => x === b[i]));
}

function hashOf(body: Buffer): string {
  return createHash('sha512').update(body).digest('hex').toUpperCase();
}
