import {
  type ControllerDefinition,
  change,
  controller,
  type Effect,
  remove,
  type View,
  watch,
} from '@trimtab/framework';
import { type Secret, Secrets, ServiceAccounts } from '@trimtab/machinery';
import type { Identities } from '../identities.js';

const tokenType = 'kubernetes.io/service-account-token';
const accountName = 'kubernetes.io/service-account.name';
const accountUid = 'kubernetes.io/service-account.uid';

function accountOf(view: View<Secret>) {
  const name = view.object?.metadata.annotations?.[accountName];
  if (view.object?.type !== tokenType || !name) return undefined;
  return { name, object: view.get(ServiceAccounts, { namespace: view.key.namespace, name }) };
}

const isWhole = ({ data }: Secret, ca: string): boolean =>
  Boolean(data?.token) && data?.['ca.crt'] === base64(ca) && Boolean(data?.namespace);
const base64 = (text: string): string => Buffer.from(text).toString('base64');

/** Whether the account is gone, or another of its name has come; known only to the server while no cache has it. */
type Observed = { readonly token?: string; readonly uid?: string; readonly gone?: boolean };

/**
 * Secrets of type `kubernetes.io/service-account-token` get what they lack: token, authority, namespace and the uid of their
 * service account; those whose service account is gone go, too.
 */
export const tokenSecretController = (identities: Identities, caCertificate: string): ControllerDefinition =>
  controller<Secret, Observed>({
    name: 'tokens-controller',
    for: Secrets,
    watches: [
      watch(ServiceAccounts, ({ metadata }, reader) =>
        reader
          .list(Secrets, metadata.namespace)
          .filter((s) => s.metadata.annotations?.[accountName] === metadata.name)
          .map((s) => ({ namespace: s.metadata.namespace, name: s.metadata.name! })),
      ),
    ],
    async observe(view, client) {
      const account = accountOf(view);
      if (!account) return {};
      const key = { namespace: view.key.namespace, name: account.name };
      const found =
        account.object ??
        (await client.list(ServiceAccounts, { namespace: key.namespace, fieldSelector: `metadata.name=${key.name}` }))
          .items[0];
      const uid = found?.metadata.uid;
      const wanted = view.object!.metadata.annotations?.[accountUid];
      if (uid === undefined || (wanted && wanted !== uid)) return { gone: true };
      if (view.object!.data?.token) return { uid };
      const token = await identities.secretToken({
        namespace: view.key.namespace!,
        account: account.name,
        uid,
        secret: view.key.name,
      });
      return { uid, token };
    },
    reconcile(view, { token, uid, gone }) {
      const { object: secret } = view;
      if (!secret || secret.metadata.deletionTimestamp || !accountOf(view)) return [];
      if (gone) return [remove(Secrets, secret)];
      return fill(secret, uid!, token, caCertificate);
    },
  });

function fill(secret: Secret, uid: string, token: string | undefined, ca: string): readonly Effect[] {
  if (isWhole(secret, ca) && secret.metadata.annotations?.[accountUid] === uid) return [];
  return change(Secrets, secret, (draft) => {
    draft.metadata.annotations = { ...draft.metadata.annotations, [accountUid]: uid };
    draft.data = {
      ...draft.data,
      ...(token ? { token: base64(token) } : {}),
      'ca.crt': base64(ca),
      namespace: base64(secret.metadata.namespace ?? ''),
    };
  });
}
