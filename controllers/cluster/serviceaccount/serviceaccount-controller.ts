import { change, controller, create, type Effect, isDeleting, type View, watch } from '@trimtab/framework';
import { ConfigMaps, type Namespace, Namespaces, ServiceAccounts } from '@trimtab/machinery';

const DEFAULT = 'default';
const ROOT_CA = 'kube-root-ca.crt';

/** Every live namespace has a service account `default`, also after somebody deleted it. */
export const serviceAccountController = controller<Namespace>({
  name: 'serviceaccount-controller',
  for: Namespaces,
  watches: [
    watch(ServiceAccounts, (account) =>
      account.metadata.name === DEFAULT ? [{ name: account.metadata.namespace! }] : [],
    ),
  ],
  reconcile: (view) => {
    const namespace = live(view);
    if (namespace === undefined || view.get(ServiceAccounts, { namespace, name: DEFAULT })) return [];
    return [
      create(ServiceAccounts, { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { namespace, name: DEFAULT } }),
    ];
  },
});

/** Every live namespace has a config map `kube-root-ca.crt` with the certificate pods verify the API server by. */
export const rootCaPublisher = (caCertificate: string) =>
  controller<Namespace>({
    name: 'root-ca-certificate-publisher',
    for: Namespaces,
    watches: [watch(ConfigMaps, ({ metadata }) => (metadata.name === ROOT_CA ? [{ name: metadata.namespace! }] : []))],
    reconcile: (view): readonly Effect[] => {
      const namespace = live(view);
      if (namespace === undefined) return [];
      const data = { 'ca.crt': caCertificate };
      const found = view.get(ConfigMaps, { namespace, name: ROOT_CA });
      if (found)
        return change(ConfigMaps, found, (draft) => {
          if (draft.data?.['ca.crt'] !== caCertificate) draft.data = data;
        });
      const annotations = {
        'kubernetes.io/description':
          'The certificate authority of the API server. Pods find it beside their service account token.',
      };
      return [
        create(ConfigMaps, {
          apiVersion: 'v1',
          kind: 'ConfigMap',
          metadata: { namespace, name: ROOT_CA, annotations },
          data,
        }),
      ];
    },
  });

function live(view: View<Namespace>): string | undefined {
  const { object } = view;
  if (object === undefined || isDeleting(object) || object.status?.phase === 'Terminating') return undefined;
  return object.metadata.name;
}
