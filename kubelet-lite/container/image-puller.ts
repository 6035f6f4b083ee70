import type { Clock, Container } from '@trimtab/machinery';
import { type Image, ImageError, type ImageStore } from '../images/image-store.js';
import { goDuration } from './restart.js';

/** Distribution reference grammar, loosely: [host[:port]/]path[:tag][@algorithm:hex], or an image id. */
const REFERENCE =
  /^(?:[a-zA-Z0-9](?:[a-zA-Z0-9.-]*)(?::[0-9]+)?\/)?[a-z0-9]+(?:(?:[._-]|__|[-]+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:[._-]|__|[-]+)[a-z0-9]+)*)*(?::[\w][\w.-]{0,127})?(?:@[a-z0-9]+:[0-9a-f]{32,})?$/;

export function isImageReference(reference: string): boolean {
  return REFERENCE.test(reference) || /^sha256:[0-9a-f]{64}$/.test(reference);
}

/** Always for `latest` or no tag, else IfNotPresent, where the container does not say. */
export function pullPolicy(container: Pick<Container, 'image' | 'imagePullPolicy'>): string {
  if (container.imagePullPolicy) return container.imagePullPolicy;
  const image = container.image ?? '';
  if (image.includes('@')) return 'IfNotPresent';
  const tag = /:([\w][\w.-]*)$/.exec(image.slice(image.lastIndexOf('/') + 1))?.[1];
  return tag === undefined || tag === 'latest' ? 'Always' : 'IfNotPresent';
}

export type Say = (type: 'Normal' | 'Warning', reason: string, message: string) => void;

/** Finds or fetches a container's image as its pull policy says, and tells it in Kubernetes' words. Rejects with an ImageError. */
export async function ensureImage(images: ImageStore, clock: Clock, container: Container, say: Say): Promise<Image> {
  const reference = container.image ?? '';
  const policy = pullPolicy(container);
  if (!isImageReference(reference)) {
    const message = `Failed to apply default image tag "${reference}": couldn't parse image name "${reference}": invalid reference format`;
    say('Warning', 'InspectFailed', message);
    throw new ImageError('InvalidImageName', reference, message);
  }
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
