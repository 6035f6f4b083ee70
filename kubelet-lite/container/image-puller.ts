import type { Clock, Container } from '@trimtab/machinery';
import { type Image, ImageError, type ImageStore } from '../images/image-store.js';
import { parseReference } from '../images/reference.js';
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

/** Finds or fetches a container's image as its pull policy says, and tells it in Kubernetes' words. Rejects with an ImageError. */
export async function ensureImage(images: ImageStore, clock: Clock, container: Container, say: Say): Promise<Image> {
  const reference = container.image ?? '';
  const policy = policyOrRefusal(container, say);
  const present = policy === 'Always' ? undefined : await images.find(reference);
  if (present) {
    say('Normal', 'Pulled', `Container image "${reference}" already present on machine`);
    return present;
  }
  if (policy === 'Never') {
    const message = `Container image "${reference}" is not present with pull policy of Never`;
    say('Warning', 'ErrImageNeverPull', message);
    throw new ImageError('ErrImageNeverPull', reference, message);
  }
  say('Normal', 'Pulling', `Pulling image "${reference}"`);
  const begun = clock.now();
  try {
    const image = await images.pull(reference);
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
