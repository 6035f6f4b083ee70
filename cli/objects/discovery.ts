import type { Client } from '@trimtab/client';
import { isReason } from '@trimtab/machinery';
import { Catalogue, type ResourceListDocument } from './catalogue.js';

interface ApiGroup {
  readonly versions: readonly { readonly groupVersion: string }[];
  readonly preferredVersion?: { readonly groupVersion: string };
}

/**
 * Asks the server what it has, in the form every version since 1.0 answers. A group whose own server is away is left out;
 * everything else that fails rejects.
 */
export async function discover(client: Client): Promise<Catalogue> {
  const ask = async <T>(path: string): Promise<T> => JSON.parse(await client.raw(path)) as T;
  const [core, others] = await Promise.all([
    ask<{ readonly versions: readonly string[] }>('/api'),
    ask<{ readonly groups: readonly ApiGroup[] }>('/apis'),
  ]);
  const paths = [
    ...core.versions.map((version) => `/api/${version}`),
    ...others.groups.flatMap((group) => versionsOf(group).map((version) => `/apis/${version}`)),
  ];
  const documents = await Promise.all(paths.map((path) => unlessAway(ask<ResourceListDocument>(path))));
  return new Catalogue(documents.filter((document) => document !== undefined));
}

/** Preferred first. */
function versionsOf({ versions, preferredVersion }: ApiGroup): readonly string[] {
  const all = versions.map(({ groupVersion }) => groupVersion);
  return [...new Set([...(preferredVersion ? [preferredVersion.groupVersion] : []), ...all])];
}

async function unlessAway<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (isReason(error, 'ServiceUnavailable', 'NotFound', 'Forbidden')) return undefined;
    throw error;
  }
}
