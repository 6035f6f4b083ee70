import { apiVersionOf, type KubeObject, type Random } from '@trimtab/machinery';
import type { Shape } from './schema.js';
import { misfits, sample } from './schema-values.js';

/**
 * Another version in which a kind is served: its shape, and how a spec goes from it to the stored version and back. Both
 * functions are pure; status and metadata go as they are. {@link conversionFaults} says whether a way there and back loses
 * anything.
 */
export interface OtherVersion<S = unknown, O = unknown> {
  readonly version: string;
  readonly spec: Shape<O>;
  /** To the stored version. */
  toStored(spec: O): S;
  /** From the stored version. */
  fromStored(spec: S): O;
  /** Told, as a warning, to whoever uses the version. */
  readonly deprecated?: string;
}

/** Infers the version's own type from its shape. */
export const otherVersion = <S, O>(version: OtherVersion<S, O>): OtherVersion<S> => version as OtherVersion<S>;

/** What conversions need of a kind. */
export interface Convertible {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  readonly specShape: Shape<unknown>;
  readonly others: readonly OtherVersion[];
}

/** The object in another version of its kind, by way of the stored one. @throws Error for a version that is not served. */
export function converted(kind: Convertible, object: KubeObject, apiVersion: string): KubeObject {
  if (object.apiVersion === apiVersion) return object;
  const stored = apiVersionOf(kind);
  const { spec } = object as { readonly spec?: unknown };
  const from = object.apiVersion === stored ? spec : otherOf(kind, object.apiVersion).toStored(spec);
  const to = apiVersion === stored ? from : otherOf(kind, apiVersion).fromStored(from);
  return { ...object, apiVersion, spec: to } as KubeObject;
}

function otherOf(kind: Convertible, apiVersion: string | undefined): OtherVersion {
  const found = kind.others.find(({ version }) => apiVersionOf({ group: kind.group, version }) === apiVersion);
  if (!found) throw new Error(`${kind.kind} is not served as ${apiVersion}`);
  return found;
}

/**
 * Goes there and back with random objects of every version, and says what did not come back as it was, or did not fit the
 * version it came to, once a field; empty for conversions that lose nothing.
 */
export function conversionFaults(kind: Convertible, random: Random, runs = 100): readonly string[] {
  const faults = new Map<string, string>();
  const found = (from: string, field: string, what: string) => {
    const at = `${from} ${field}`;
    if (!faults.has(at)) faults.set(at, `from ${from}: ${what}`);
  };
  for (const other of kind.others)
    for (let run = 0; run < runs; run++) {
      const ways = [
        { from: other.version, shape: other.spec, by: other.toStored, to: kind.specShape, back: other.fromStored },
        { from: kind.version, shape: kind.specShape, by: other.fromStored, to: other.spec, back: other.toStored },
      ];
      for (const { from, shape, by, to, back } of ways) {
        const spec = sample(shape.props, random);
        const there = by(spec);
        const [misfit] = misfits(to.props, there, 'spec');
        if (misfit !== undefined) found(from, misfit.split(':')[0]!, misfit);
        for (const field of differences(spec, back(there), 'spec')) found(from, field, `${field} is lost`);
      }
    }
  return [...faults.values()];
}

function differences(before: unknown, after: unknown, at: string): readonly string[] {
  if (Object.is(before, after)) return [];
  const both = [before, after];
  if (!both.every((value) => typeof value === 'object' && value !== null)) return [at];
  const names = new Set(both.flatMap((value) => Object.keys(value as object)));
  const of = (value: unknown, name: string) => (value as Readonly<Record<string, unknown>>)[name];
  return [...names].flatMap((name) =>
    differences(of(before, name), of(after, name), Array.isArray(before) ? `${at}[]` : `${at}.${name}`),
  );
}

/** `apiextensions.k8s.io/v1` ConversionReview, as far as it is read. */
export interface ConversionReview {
  readonly request?: {
    readonly uid: string;
    readonly desiredAPIVersion: string;
    readonly objects: readonly KubeObject[];
  };
  readonly response?: {
    readonly uid: string;
    readonly convertedObjects: readonly KubeObject[];
    readonly result: { readonly status: 'Success' | 'Failure'; readonly message?: string };
  };
}

/** Answers a review: all of its objects, or none and why. */
export function conversionReview(kinds: readonly Convertible[], { request }: ConversionReview): ConversionReview {
  if (!request) throw new Error('a ConversionReview without a request');
  const { uid, desiredAPIVersion, objects } = request;
  const answer = (convertedObjects: readonly KubeObject[], message?: string) => ({
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'ConversionReview',
    response: {
      uid,
      convertedObjects,
      result: message === undefined ? { status: 'Success' as const } : { status: 'Failure' as const, message },
    },
  });
  try {
    return answer(
      objects.map((object) => {
        const group = desiredAPIVersion.split('/')[0];
        const kind = kinds.find((each) => each.kind === object.kind && each.group === group);
        if (!kind) throw new Error(`nobody here converts ${object.kind}.${group}`);
        return converted(kind, object, desiredAPIVersion);
      }),
    );
  } catch (error) {
    return answer([], error instanceof Error ? error.message : String(error));
  }
}
