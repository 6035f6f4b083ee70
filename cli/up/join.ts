import { createHash, createPublicKey, type KeyObject } from 'node:crypto';
import type { KubeObject } from '@trimtab/machinery';
import type { Pki } from '@trimtab/server';
import { ConflictError, type Store } from '@trimtab/store';
import type { ClusterFile } from '../cluster-file.js';
import { CliError } from '../errors.js';

/** Beside the objects, where no kind is. */
const key = { resource: 'trimtab.dev/clusters', namespace: '', name: 'cluster' };

/** What servers of one cluster have in common, and how to say so of each. */
const HOW = {
  podCidr: (kept: string) => `--pod-cidr ${kept}`,
  serviceCidr: (kept: string) => `--service-cidr ${kept}`,
  dnsDomain: (kept: string) => `--dns-domain ${kept}`,
  authority: () => copy('ca.crt and ca.key'),
  frontProxyAuthority: () => copy('front-proxy-ca.crt and front-proxy-ca.key'),
  serviceAccountKey: () => copy('sa.key'),
} as const;

const copy = (files: string): string =>
  `the first server's ${files}: copy them before the first start, or share --pki-dir`;

type Common = Readonly<Record<keyof typeof HOW, string>>;

/** Notes in a shared store what its servers have in common; refuses what does not fit there, naming what does. */
export async function joinCluster(store: Store, file: ClusterFile, pki: Pki): Promise<void> {
  const mine: Common = {
    podCidr: file.podCidr,
    serviceCidr: file.serviceCidr,
    dnsDomain: file.dnsDomain,
    authority: fingerprint(createPublicKey(pki.caCertificate)),
    frontProxyAuthority: fingerprint(createPublicKey(pki.frontProxy.caCertificate)),
    serviceAccountKey: fingerprint(pki.serviceAccountKey.publicKey),
  };
  for (;;) {
    await store.latest();
    const kept = store.snapshot().get(key)?.object as (KubeObject & { readonly common: Common }) | undefined;
    if (kept === undefined) {
      const object = { metadata: { name: key.name }, common: mine } as KubeObject;
      try {
        await store.commit([{ type: 'put', key, object, expect: 0 }]);
        return;
      } catch (error) {
        if (!(error instanceof ConflictError)) throw error;
        continue;
      }
    }
    for (const field of Object.keys(HOW) as (keyof typeof HOW)[])
      if (kept.common[field] !== mine[field])
        throw new CliError(
          `the cluster in this store is another's than this server's: it wants ${HOW[field](kept.common[field])}`,
        );
    return;
  }
}

const fingerprint = (key: KeyObject): string =>
  createHash('sha256')
    .update(key.export({ type: 'spki', format: 'der' }))
    .digest('hex');
