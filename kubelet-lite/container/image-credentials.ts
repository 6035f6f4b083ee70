import type { Client } from '@trimtab/client';
import { type Logger, Secrets } from '@trimtab/machinery';
import { type CredentialEntries, parseDockerConfig } from '../images/registry/credentials.js';
import type { Pod } from '../pod/api.js';
import type { Say } from './image-puller.js';

export interface ImageCredentialsOptions {
  readonly client: Client;
  readonly logger: Logger;
  /** What the node itself may show to registries; asked at each pull. */
  readonly node?: (image: string) => Promise<readonly CredentialEntries[]>;
}

/** What may be shown to registries when a pod's images are pulled, in order of precedence. Never rejects. */
export type ImageCredentials = (pod: Pod, say: Say, image: string) => Promise<readonly CredentialEntries[]>;

const KEYS: Readonly<Record<string, string>> = {
  'kubernetes.io/dockerconfigjson': '.dockerconfigjson',
  'kubernetes.io/dockercfg': '.dockercfg',
};

/**
 * The pod's imagePullSecrets (admission has put its service account's there), then the node's own. A secret that is missing or
 * unreadable is told in an event and passed over, since the image may be public.
 */
export function imageCredentials({ client, logger, node }: ImageCredentialsOptions): ImageCredentials {
  return async (pod, say, image) => {
    const names = (pod.spec.imagePullSecrets ?? []).flatMap(({ name }) => (name ? [name] : []));
    const failed: string[] = [];
    const read = async (name: string): Promise<CredentialEntries> => {
      try {
        const secret = await client.get(Secrets, { namespace: pod.metadata.namespace ?? '', name });
        const data = secret.data?.[KEYS[secret.type ?? ''] ?? ''];
        // Of another type: not an error, and of no use.
        return data === undefined ? [] : parseDockerConfig(Buffer.from(data, 'base64').toString('utf8'));
      } catch (error) {
        failed.push(name);
        logger.warn({ secret: name, error: String(error) }, 'image pull secret cannot be used');
        return [];
      }
    };
    const secrets = await Promise.all(names.map(read));
    if (failed.length > 0)
      say(
        'Warning',
        'FailedToRetrieveImagePullSecret',
        `Unable to retrieve some image pull secrets (${failed.sort().join(', ')}); attempting to pull the image may not succeed.`,
      );
    const own = await node?.(image).catch((error: unknown) => {
      logger.warn({ error: String(error) }, "the node's registry credentials cannot be read");
      return [];
    });
    return [...secrets, ...(own ?? [])].filter((entries) => entries.length > 0);
  };
}
