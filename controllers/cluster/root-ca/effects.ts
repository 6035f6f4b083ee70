import { change, create, type Effect } from '@trimtab/framework';
import { type ConfigMap, ConfigMaps } from '@trimtab/machinery';

export const ROOT_CA = 'kube-root-ca.crt';
export const CERTIFICATE = 'ca.crt';

export const publish = (namespace: string, certificate: string): readonly Effect[] => [
  create(ConfigMaps, {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: {
      namespace,
      name: ROOT_CA,
      annotations: {
        'kubernetes.io/description':
          'The certificate authority of the API server. Pods find it beside their service account token.',
      },
    },
    data: { [CERTIFICATE]: certificate },
  }),
];

/** Whatever else somebody put there goes, too: pods mount the whole map. */
export const correct = (present: ConfigMap, certificate: string): readonly Effect[] =>
  change(ConfigMaps, present, (draft) => {
    draft.data = { [CERTIFICATE]: certificate };
  });
