import { apiVersionOf, type ResourceType } from '@trimtab/machinery';

/** One resource the server has, as its discovery tells. */
export interface Resource {
  readonly type: ResourceType;
  readonly singular: string;
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
  readonly verbs: readonly string[];
}

/** `/api/v1` or `/apis/<group>/<version>`, as far as it matters here. */
export interface ResourceListDocument {
  readonly groupVersion: string;
  readonly resources?: readonly {
    readonly name: string;
    readonly singularName?: string;
    readonly namespaced: boolean;
    readonly kind: string;
    readonly verbs?: readonly string[];
    readonly shortNames?: readonly string[];
    readonly categories?: readonly string[];
  }[];
}

/** The resources of a document, without subresources. */
export function resourcesOf({ groupVersion, resources = [] }: ResourceListDocument): readonly Resource[] {
  const slash = groupVersion.indexOf('/');
  const group = slash < 0 ? '' : groupVersion.slice(0, slash);
  const version = groupVersion.slice(slash + 1);
  return resources
    .filter(({ name }) => !name.includes('/'))
    .map((each) => ({
      type: { group, version, kind: each.kind, resource: each.name, namespaced: each.namespaced },
      singular: each.singularName || each.kind.toLowerCase(),
      shortNames: each.shortNames ?? [],
      categories: each.categories ?? [],
      verbs: each.verbs ?? [],
    }));
}

/**
 * Finds resources by the words people use. Among equals the first wins, so documents are given as the server orders them:
 * the core group first, and of each group the preferred version first.
 */
export class Catalogue {
  readonly #resources: readonly Resource[];

  constructor(documents: readonly ResourceListDocument[]) {
    this.#resources = documents.flatMap(resourcesOf);
  }

  /** By plural, singular, kind or short name, also with `.group` or `.version.group` behind it. */
  find(word: string): Resource | undefined {
    const text = word.toLowerCase();
    const whole = this.#named(text);
    if (whole) return whole;
    const dot = text.indexOf('.');
    if (dot < 0) return undefined;
    const rest = text.slice(dot + 1);
    return this.#named(
      text.slice(0, dot),
      ({ type }) => rest === type.group || rest === `${type.version}.${type.group}`,
    );
  }

  /** Everything that can be listed in a category such as `all`, each kind once. */
  category(word: string): readonly Resource[] {
    const found = new Map<string, Resource>();
    for (const resource of this.#resources) {
      const key = `${resource.type.group}/${resource.type.resource}`;
      const member = resource.categories.includes(word) && resource.verbs.includes('list');
      if (member && !found.has(key)) found.set(key, resource);
    }
    return [...found.values()];
  }

  kind(apiVersion: string, kind: string): Resource | undefined {
    return this.#resources.find(({ type }) => type.kind === kind && apiVersionOf(type) === apiVersion);
  }

  #named(text: string, matches: (resource: Resource) => boolean = () => true): Resource | undefined {
    const all = this.#resources.filter(matches);
    return (
      all.find(({ type }) => type.resource === text) ??
      all.find(({ type, singular }) => singular === text || type.kind.toLowerCase() === text) ??
      all.find(({ shortNames }) => shortNames.includes(text))
    );
  }
}

/** `pods`, `deployments.apps`: a resource as messages name it. */
export const resourceText = ({ resource, group }: Pick<ResourceType, 'resource' | 'group'>): string =>
  group === '' ? resource : `${resource}.${group}`;

/** `pod`, `deployment.apps`: one object's kind as messages name it. */
export const kindText = ({ kind, group }: Pick<ResourceType, 'kind' | 'group'>): string =>
  group === '' ? kind.toLowerCase() : `${kind.toLowerCase()}.${group}`;
