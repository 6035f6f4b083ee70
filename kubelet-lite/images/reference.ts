import { ImageError } from './image-store.js';

/** An image reference with everything spelled out (distribution reference grammar). */
export interface Reference {
  readonly registry: string;
  readonly repository: string;
  readonly tag?: string;
  readonly digest?: string;
}

const REFERENCE = new RegExp(
  [
    '^(?<path>[a-zA-Z0-9](?:[a-zA-Z0-9._:/-]*?[a-zA-Z0-9])?)',
    '(?::(?<tag>[\\w][\\w.-]{0,127}))?',
    '(?:@(?<digest>[a-z0-9]+(?:[.+_-][a-z0-9]+)*:[0-9a-fA-F]{32,}))?$',
  ].join(''),
);
const REPOSITORY = /^[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*$/;

/** Parses as Docker does: no registry means `docker.io`, no tag and no digest means `latest`. */
export function parseReference(text: string): Reference {
  const match = REFERENCE.exec(text)?.groups;
  if (match === undefined) throw invalid(text);
  const path = match.path!;
  const slash = path.indexOf('/');
  const first = path.slice(0, Math.max(slash, 0));
  const named = slash > 0 && (/[.:]/.test(first) || first === 'localhost');
  const registry = named ? first : 'docker.io';
  const bare = named ? path.slice(slash + 1) : path;
  const repository = registry === 'docker.io' && !bare.includes('/') ? `library/${bare}` : bare;
  if (!REPOSITORY.test(repository)) throw invalid(text);
  const tag = match.tag ?? (match.digest === undefined ? 'latest' : undefined);
  return { registry, repository, ...(tag ? { tag } : {}), ...(match.digest ? { digest: match.digest } : {}) };
}

/** `docker.io/library/redis:7`; with a digest `…@sha256:…` instead of the tag. */
export function formatReference({ registry, repository, tag, digest }: Reference): string {
  return `${registry}/${repository}${digest === undefined ? `:${tag}` : `@${digest}`}`;
}

function invalid(text: string): ImageError {
  return new ImageError(
    'InvalidImageName',
    text,
    `Failed to apply default image tag "${text}": couldn't parse image name: invalid reference format`,
  );
}
