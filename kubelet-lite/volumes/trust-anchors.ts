import {
  type ClusterTrustBundle,
  type ClusterTrustBundleProjection,
  matchesLabels,
  selectorFromObject,
} from '@trimtab/machinery';

const CERTIFICATE = /-----BEGIN CERTIFICATE-----([\s\S]*?)-----END CERTIFICATE-----/g;
const LINE = 64;

/**
 * What a `clusterTrustBundle` source shows: the certificates of the bundle it names, or of all bundles of its signer whose labels
 * it selects, each once, without headers and comments. A selector that is not there selects nothing, an empty one everything.
 * Throws where there is no such bundle and the source is not optional.
 */
export function trustAnchors(source: ClusterTrustBundleProjection, bundles: readonly ClusterTrustBundle[]): string {
  const chosen = bundles.filter((bundle) => isChosen(source, bundle));
  if (chosen.length === 0 && !source.optional)
    throw new Error(
      source.name === undefined
        ? 'combination of signerName and labelSelector matched zero ClusterTrustBundles'
        : `clustertrustbundle.certificates.k8s.io "${source.name}" not found`,
    );
  const found = chosen.flatMap(({ spec }) =>
    [...spec.trustBundle.matchAll(CERTIFICATE)].map(([, body = '']) => body.replaceAll(/[^A-Za-z0-9+/=]/g, '')),
  );
  return [...new Set(found)].sort().map(pem).join('');
}

function isChosen(source: ClusterTrustBundleProjection, { metadata, spec }: ClusterTrustBundle): boolean {
  if (source.name !== undefined) return metadata.name === source.name;
  if (source.labelSelector === undefined || spec.signerName !== source.signerName) return false;
  return matchesLabels(selectorFromObject(source.labelSelector), metadata.labels);
}

function pem(base64: string): string {
  const lines = base64.match(new RegExp(`.{1,${LINE}}`, 'g')) ?? [];
  return ['-----BEGIN CERTIFICATE-----', ...lines, '-----END CERTIFICATE-----', ''].join('\n');
}
