import type { Clock, Container } from '@trimtab/machinery';
import { type Image, ImageError, type ImageStore, type ImageUpkeep } from '../images/image-store.js';
import { parseReference } from '../images/reference.js';
import type { CredentialEntries } from '../images/registry/credentials.js';
import { goDuration } from './restart.js';

const IMAGE_ID = /^sha256:[0-9a-f]{64}$/;

/** Always for `latest` or no tag, else IfNotPresent, where the container does not say. */
export function pullPolicy(container: Pick<Container, 'image' | 'imagePullPolicy'>): string {
  if (container.imagePullPolicy) return container.imagePullPolicy;
  if (IMAGE_ID.test(container.image ?? '')) return 'IfNotPresent';
  const { tag, digest } = parseReference(container.image ?? '');
  return digest === undefined && tag === 'latest' ? 'Always' : 'IfNotPresent';
}

function policyOrRefusal(container: Container, say: Say): string {
  try {
    if (!IMAGE_ID.test(container.image ?? '')) parseReference(container.image ?? '');
    return pullPolicy(container);
  } catch (error) {
    if (error instanceof ImageError) say('Warning', 'InspectFailed', error.message);
    throw error;
  }
}

export type Say = (type: 'Normal' | 'Warning', reason: string, message: string) => void;

/** The image's name by digest as `status.imageID` has it: in the repository it was asked for by, where it is known there. */
export function imageIdOf(image: Image, reference: string): string {
  if (IMAGE_ID.test(reference)) return image.digests[0] ?? image.id;
  const { registry, repository } = parseReference(reference);
  return image.digests.find((d) => d.startsWith(`${registry}/${repository}@`)) ?? image.digests[0] ?? image.id;
}

/**
 * Finds or fetches a container's image as its pull policy says, and tells it in Kubernetes' words. Rejects with an ImageError.
 * `credentials` is asked only when something is to be fetched.
 */
export async function ensureImage(
  images: ImageStore & Partial<Pick<ImageUpkeep, 'used'>>,
  clock: Clock,
  container: Container,
  say: Say,
  credentials?: () => Promise<readonly CredentialEntries[]>,
): Promise<Image> {
  const image = await present(images, clock, container, say, credentials);
  await images.used?.(image.id, clock.now());
  return image;
}

async function present(
  images: ImageStore,
  clock: Clock,
  container: Container,
  say: Say,
  credentials?: () => Promise<readonly CredentialEntries[]>,
): Promise<Image> {
  const reference = container.image ?? '';
  const policy = policyOrRefusal(container, say);
  const found = policy === 'Always' ? undefined : await images.find(reference);
  if (found) {
    say('Normal', 'Pulled', `Container image "${reference}" already present on machine`);
    return found;
  }
  if (policy === 'Never') {
    const message = `Container image "${reference}" is not present with pull policy of Never`;
    say('Warning', 'ErrImageNeverPull', message);
    throw new ImageError('ErrImageNeverPull', reference, message);
  }
  say('Normal', 'Pulling', `Pulling image "${reference}"`);
  const begun = clock.now();
  try {
    const image = await images.pull(reference, credentials ? { credentials: await credentials() } : {});
    const took = goDuration(clock.now() - begun);
    say(
      'Normal',
      'Pulled',
      `Successfully pulled image "${reference}" in ${took} (${took} including waiting). Image size: ${image.size} bytes.`,
    );
    return image;
  } catch (error) {
    const failure =
      error instanceof ImageError
        ? error
        : new ImageError('ErrImagePull', reference, error instanceof Error ? error.message : String(error));
    say('Warning', 'Failed', `Failed to pull image "${reference}": ${failure.message}`);
    throw failure;
  }
}
