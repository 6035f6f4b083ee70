import type { KeyPair } from './certificate.js';

export interface KubeconfigOptions {
  /** The API server's URL. */
  readonly server: string;
  /** PEM. */
  readonly caCertificate: string;
  /** A client certificate or a bearer token. */
  readonly user: KeyPair | { readonly token: string };
  readonly clusterName?: string;
  readonly userName?: string;
  readonly namespace?: string;
}

const base64 = (text: string): string => Buffer.from(text, 'utf8').toString('base64');

/**
 * A kubeconfig (client.authentication `v1` Config) with one cluster, one user and one context, all data embedded, so that it
 * can be copied to another machine. YAML; every scalar is written as a JSON string, which YAML reads as it stands.
 */
export function kubeconfig(options: KubeconfigOptions): string {
  const quote = (text: string) => JSON.stringify(text);
  const cluster = options.clusterName ?? 'trimtab';
  const user = options.userName ?? 'trimtab-admin';
  const context = `${user}@${cluster}`;
  const credentials =
    'token' in options.user
      ? [`    token: ${quote(options.user.token)}`]
      : [
          `    client-certificate-data: ${base64(options.user.certificate)}`,
          `    client-key-data: ${base64(options.user.key)}`,
        ];
  return [
    'apiVersion: v1',
    'kind: Config',
    'clusters:',
    `- name: ${quote(cluster)}`,
    '  cluster:',
    `    server: ${quote(options.server)}`,
    `    certificate-authority-data: ${base64(options.caCertificate)}`,
    'users:',
    `- name: ${quote(user)}`,
    '  user:',
    ...credentials,
    'contexts:',
    `- name: ${quote(context)}`,
    '  context:',
    `    cluster: ${quote(cluster)}`,
    `    user: ${quote(user)}`,
    ...(options.namespace ? [`    namespace: ${quote(options.namespace)}`] : []),
    `current-context: ${quote(context)}`,
    'preferences: {}',
    '',
  ].join('\n');
}
