import {
  type Clock,
  type Container,
  type Pod,
  type PodSpec,
  type Random,
  RecentMap,
  type ServiceAccount,
  sleep,
  type Volume,
} from '@trimtab/machinery';
import type { AdmissionAttributes, AdmissionPlugin, ObjectReader } from '../contracts.js';
import { concerns, isMirrorPod, refuse } from './attributes.js';
import { checkMirrorPod, checkMountableSecrets } from './mountable-secrets.js';

export const tokenMountPath = '/var/run/secrets/kubernetes.io/serviceaccount';
/** The extra seconds make the token last the hour that clients expect, however late it is renewed. */
const tokenSeconds = 3607;
const attempts = 10;
const attemptMs = 100;
const alphabet = 'bcdfghjklmnpqrstvwxz2456789';

/**
 * Every pod runs as a service account that exists (`default` where none is named) and, unless pod or account opt out, has its
 * token, the cluster's CA and its namespace mounted. The `default` account is waited for up to a second: in a new namespace
 * it is still being made.
 */
export function serviceAccountPlugin(reader: ObjectReader, clock: Clock, random: Random): AdmissionPlugin {
  // Pods of one template get the same from the same account, the volume's name too, and go on sharing all of it.
  const known = new RecentMap<PodSpec, { readonly account: ServiceAccount; readonly spec: PodSpec }>(256);
  return {
    name: 'ServiceAccount',
    mutate(attributes) {
      const pod = attributes.object as Pod;
      if (!concerns(attributes, '/pods', 'CREATE') || !pod.spec || isMirrorPod(pod)) return pod;
      const name = pod.spec.serviceAccountName || 'default';
      const account = find(attributes, name);
      return account instanceof Promise
        ? account.then((found) => withAccount(attributes, pod, name, found))
        : withAccount(attributes, pod, name, account);
    },
    validate(attributes) {
      const pod = attributes.object as Pod;
      if (concerns(attributes, '/pods', 'CREATE') && isMirrorPod(pod)) checkMirrorPod(attributes, pod);
    },
  };

  function withAccount(attributes: AdmissionAttributes, pod: Pod, name: string, account: ServiceAccount): Pod {
    const before = known.get(pod.spec!);
    if (before?.account === account) return { ...pod, spec: before.spec };
    checkMountableSecrets(attributes, pod, account);
    let spec: PodSpec = { ...pod.spec!, serviceAccountName: name, serviceAccount: name };
    if (pod.spec!.automountServiceAccountToken ?? account.automountServiceAccountToken ?? true)
      spec = withToken(spec, random);
    if (!spec.imagePullSecrets?.length && account.imagePullSecrets?.length)
      spec = { ...spec, imagePullSecrets: account.imagePullSecrets };
    known.set(pod.spec!, { account, spec });
    return { ...pod, spec };
  }

  function find(attributes: AdmissionAttributes, name: string): ServiceAccount | Promise<ServiceAccount> {
    const account = reader.get('/serviceaccounts', attributes.namespace, name) as ServiceAccount | undefined;
    return account ?? waitFor(attributes, name);
  }

  async function waitFor(attributes: AdmissionAttributes, name: string): Promise<ServiceAccount> {
    for (let attempt = 1; ; attempt++) {
      const account = reader.get('/serviceaccounts', attributes.namespace, name);
      if (account) return account as ServiceAccount;
      if (name !== 'default' || attempt >= attempts)
        throw refuse(
          attributes,
          `error looking up service account ${attributes.namespace}/${name}: serviceaccount "${name}" not found`,
        );
      await sleep(clock, attemptMs);
    }
  }
}

/** The token volume, mounted in every container that has nothing at that path. */
function withToken(spec: PodSpec, random: Random): PodSpec {
  const lacks = (container: Container) => !container.volumeMounts?.some((mount) => mount.mountPath === tokenMountPath);
  const all = [...spec.containers, ...(spec.initContainers ?? [])];
  if (!all.some(lacks)) return spec;
  const existing = spec.volumes?.find((volume) => volume.name.startsWith('kube-api-access-'));
  const volume = existing ?? tokenVolume(random);
  const mount = (container: Container): Container =>
    lacks(container)
      ? {
          ...container,
          volumeMounts: [
            ...(container.volumeMounts ?? []),
            { name: volume.name, readOnly: true, mountPath: tokenMountPath },
          ],
        }
      : container;
  return {
    ...spec,
    volumes: existing ? spec.volumes : [...(spec.volumes ?? []), volume],
    containers: spec.containers.map(mount),
    ...(spec.initContainers ? { initContainers: spec.initContainers.map(mount) } : {}),
  };
}

function tokenVolume(random: Random): Volume {
  let suffix = '';
  for (let i = 0; i < 5; i++) suffix += alphabet[Math.floor(random.next() * alphabet.length)];
  return {
    name: `kube-api-access-${suffix}`,
    projected: {
      defaultMode: 0o644,
      sources: [
        { serviceAccountToken: { expirationSeconds: tokenSeconds, path: 'token' } },
        { configMap: { name: 'kube-root-ca.crt', items: [{ key: 'ca.crt', path: 'ca.crt' }] } },
        {
          downwardAPI: {
            items: [{ path: 'namespace', fieldRef: { apiVersion: 'v1', fieldPath: 'metadata.namespace' } }],
          },
        },
      ],
    },
  };
}
