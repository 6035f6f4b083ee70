import { CliError } from '../errors.js';
import type { Catalogue, Resource } from './catalogue.js';

/** Objects a command is about: those named, or the whole collection when `names` is empty. */
export interface Target {
  readonly resource: Resource;
  readonly names: readonly string[];
}

/**
 * Reads `pods`, `pods,svc`, `pods a b`, `all` and `pod/a svc/b`.
 *
 * @throws CliError for a word the server has no resource for, and for forms that are mixed.
 */
export function targetsOf(catalogue: Catalogue, word: string, names: readonly string[]): readonly Target[] {
  if ([word, ...names].some((each) => each.includes('/'))) return slashed(catalogue, [word, ...names]);
  const resources = word.split(',').flatMap((each) => resourcesFor(catalogue, each));
  return resources.map((resource) => ({ resource, names }));
}

function slashed(catalogue: Catalogue, words: readonly string[]): readonly Target[] {
  const targets: { resource: Resource; names: string[] }[] = [];
  for (const word of words) {
    const [kind = '', name = '', ...more] = word.split('/');
    if (kind === '' || name === '' || more.length > 0)
      throw new CliError(`"${word}" is not kind/name; where one argument is kind/name, all of them must be`);
    const resource = resourceFor(catalogue, kind);
    const last = targets.at(-1);
    if (last?.resource === resource) last.names.push(name);
    else targets.push({ resource, names: [name] });
  }
  return targets;
}

function resourcesFor(catalogue: Catalogue, word: string): readonly Resource[] {
  const members = catalogue.category(word.toLowerCase());
  return members.length > 0 ? members : [resourceFor(catalogue, word)];
}

export function resourceFor(catalogue: Catalogue, word: string): Resource {
  const found = catalogue.find(word);
  if (!found) throw new CliError(`the server doesn't have a resource type "${word}"`);
  return found;
}
