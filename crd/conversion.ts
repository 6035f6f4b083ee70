import {
  type CustomResourceDefinition,
  internalError,
  type KubeObject,
  type ObjectMeta,
  type StatusError,
} from '@trimtab/machinery';

/**
 * What a conversion webhook is asked and what it may answer (apiextensions-apiserver pkg/apiserver/conversion). Pure: the
 * asking itself is in conversion-webhook.ts.
 */
export interface ConversionReview {
  readonly apiVersion: string;
  readonly kind: string;
  readonly request?: {
    readonly uid: string;
    readonly desiredAPIVersion: string;
    readonly objects: readonly KubeObject[];
  };
  readonly response?: {
    readonly uid?: string;
    readonly convertedObjects?: readonly KubeObject[];
    readonly result?: { readonly status?: string; readonly message?: string };
  };
}

export const reviewOf = (uid: string, desiredAPIVersion: string, objects: readonly KubeObject[]): ConversionReview => ({
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'ConversionReview',
  request: { uid, desiredAPIVersion, objects },
});

/** `example.com/v1, Kind=Widget`, as errors name what was to be converted. */
export const nameOf = ({ apiVersion, kind }: KubeObject): string => `${apiVersion}, Kind=${kind}`;

/**
 * The objects of an answer, held against those asked for: as many, of the wanted version, and with the metadata they had
 * but for labels and annotations. Throws a 500 that names the webhook's mistake.
 */
export function convertedOf(
  answer: object,
  uid: string,
  desired: string,
  asked: readonly KubeObject[],
): readonly KubeObject[] {
  const name = nameOf(asked[0]!);
  const wrong = (text: string): StatusError => internalError(`conversion webhook for ${name} ${text}`);
  const { apiVersion, kind, response } = answer as ConversionReview;
  if (apiVersion !== 'apiextensions.k8s.io/v1' || kind !== 'ConversionReview')
    throw wrong(
      `failed: expected webhook response of apiextensions.k8s.io/v1, Kind=ConversionReview, got ${apiVersion}, Kind=${kind}`,
    );
  if (response === undefined || response === null) throw wrong('failed: no response provided');
  if (response.uid !== uid) throw wrong(`failed: expected response.uid="${uid}", got "${response.uid ?? ''}"`);
  const { result, convertedObjects = [] } = response;
  if (result?.status !== 'Success')
    throw wrong(`failed: ${result?.message || `response.result.status was '${result?.status ?? ''}', not 'Success'`}`);
  if (convertedObjects.length !== asked.length)
    throw wrong(`returned ${convertedObjects.length} objects, expected ${asked.length}`);
  return asked.map((original, index) => {
    const converted = convertedObjects[index]!;
    if (converted?.apiVersion !== desired)
      throw wrong(
        `returned invalid converted object at index ${index}: invalid groupVersion (expected ${desired}, received ${converted?.apiVersion})`,
      );
    const mismatch = mismatchOf(original, converted);
    if (mismatch !== undefined) throw wrong(`returned invalid metadata in object at index ${index}: ${mismatch}`);
    return { ...converted, metadata: metadataOf(original.metadata, converted.metadata) };
  });
}

function mismatchOf(original: KubeObject, converted: KubeObject): string | undefined {
  if (converted.kind !== original.kind) return `must have the same kind: ${converted.kind} != ${original.kind}`;
  if (converted.metadata === undefined || converted.metadata === null) return 'missing metadata in converted object';
  for (const [field, name] of [
    ['name', 'name'],
    ['namespace', 'namespace'],
    ['uid', 'UID'],
  ] as const) {
    const [before, after] = [original.metadata[field] ?? '', converted.metadata[field] ?? ''];
    if (before !== after) return `must have the same ${name}: ${after} != ${before}`;
  }
  return undefined;
}

/** A webhook may change labels and annotations, and nothing else of the metadata. */
function metadataOf(original: ObjectMeta, { labels, annotations }: ObjectMeta): ObjectMeta {
  const { labels: _labels, annotations: _annotations, ...kept } = original;
  return { ...kept, ...(labels ? { labels } : {}), ...(annotations ? { annotations } : {}) };
}

/** Whether versions differ in more than their name. */
export const needsWebhook = ({ spec }: CustomResourceDefinition): boolean => spec.conversion?.strategy === 'Webhook';
