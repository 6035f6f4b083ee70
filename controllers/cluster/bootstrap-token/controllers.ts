import { type ControllerDefinition, change, controller, remove, requeueAfter, watch } from '@trimtab/framework';
import { type ConfigMap, ConfigMaps, type Secret, Secrets } from '@trimtab/machinery';
import { detachedSignature, expiryOf, field, NAMESPACE, TOKEN_TYPE } from './token.js';

const CLUSTER_INFO = { namespace: 'kube-public', name: 'cluster-info' };
const PREFIX = 'jws-kubeconfig-';

/** Bootstrap tokens go when they have expired. */
export const tokenCleaner: ControllerDefinition = controller<Secret>({
  name: 'token-cleaner',
  for: Secrets,
  reconcile({ object: secret, now }) {
    if (secret?.type !== TOKEN_TYPE || secret.metadata.namespace !== NAMESPACE || secret.metadata.deletionTimestamp)
      return [];
    const end = expiryOf(secret);
    if (end === undefined) return [];
    return end <= now ? [remove(Secrets, secret)] : [requeueAfter(end - now)];
  },
});

/** The config map `cluster-info` in `kube-public` carries one signature of its kubeconfig for each token meant for signing. */
export const bootstrapSigner: ControllerDefinition = controller<ConfigMap>({
  name: 'bootstrap-signer',
  for: ConfigMaps,
  watches: [watch(Secrets, ({ type }) => (type === TOKEN_TYPE ? [CLUSTER_INFO] : []))],
  reconcile(view) {
    const { object: map, key, now } = view;
    const kubeconfig = map?.data?.kubeconfig;
    if (!map || key.namespace !== CLUSTER_INFO.namespace || key.name !== CLUSTER_INFO.name || !kubeconfig) return [];
    const tokens = view
      .list(Secrets, NAMESPACE)
      .filter((s) => s.type === TOKEN_TYPE && field(s, 'usage-bootstrap-signing') === 'true')
      .filter((s) => (expiryOf(s) ?? Number.POSITIVE_INFINITY) > now)
      .filter((s) => s.metadata.name === `bootstrap-token-${field(s, 'token-id')}`);
    const signatures = Object.fromEntries(
      tokens.map((s) => {
        const id = field(s, 'token-id');
        return [`${PREFIX}${id}`, detachedSignature(kubeconfig, id, field(s, 'token-secret'))];
      }),
    );
    const others = Object.fromEntries(Object.entries(map.data ?? {}).filter(([name]) => !name.startsWith(PREFIX)));
    return change(ConfigMaps, map, (draft) => {
      draft.data = { ...others, ...signatures };
    });
  },
});
