import type { Client } from '@trimtab/client';
import { type ConfigMap, ConfigMaps, equalJson, isReason } from '@trimtab/machinery';
import type { RequestHeaderOptions } from '../authentication/request-header.js';

export interface ExtensionAuthentication {
  /** PEM: the authority of client certificates. */
  readonly clientCa: string;
  /** PEM: the authority of the certificate with which this server speaks for its callers. */
  readonly requestHeaderCa: string;
  readonly requestHeader: RequestHeaderOptions;
}

const namespace = 'kube-system';
const name = 'extension-apiserver-authentication';

/** Publishes, in `kube-system`, what an aggregated server has to know to believe this one; put right at every start. */
export async function publishExtensionAuthentication(client: Client, given: ExtensionAuthentication): Promise<void> {
  const { requestHeader: h } = given;
  const data = {
    'client-ca-file': given.clientCa,
    'requestheader-client-ca-file': given.requestHeaderCa,
    'requestheader-allowed-names': JSON.stringify(h.allowedNames),
    'requestheader-username-headers': JSON.stringify(h.usernameHeaders),
    'requestheader-uid-headers': JSON.stringify(h.uidHeaders),
    'requestheader-group-headers': JSON.stringify(h.groupHeaders),
    'requestheader-extra-headers-prefix': JSON.stringify(h.extraHeaderPrefixes),
  };
  for (;;) {
    try {
      const there: ConfigMap = await client.get(ConfigMaps, { namespace, name });
      if (!equalJson(there.data, data)) await client.update(ConfigMaps, { ...there, data });
      return;
    } catch (error) {
      if (isReason(error, 'Conflict')) continue;
      if (!isReason(error, 'NotFound')) throw error;
    }
    try {
      await client.create(ConfigMaps, { apiVersion: 'v1', kind: 'ConfigMap', metadata: { namespace, name }, data });
      return;
    } catch (error) {
      if (!isReason(error, 'AlreadyExists')) throw error;
    }
  }
}
