import type { Informers } from '@trimtab/client';
import type { LiveReader, View } from '@trimtab/framework';
import {
  CustomResourceDefinitions,
  isReason,
  type KubeObject,
  type Namespace,
  type ResourceType,
} from '@trimtab/machinery';
import { collectableTypes, typeId } from '../collectable.js';
import { isClosed, isPods } from './facts.js';

/** All of one kind that a namespace holds. */
export interface HeldKind {
  readonly type: ResourceType;
  readonly objects: readonly KubeObject[];
}

/** What a namespace holds, as the server has it. */
export interface Content {
  /** Only kinds of which there is something. With none here and no failures, the namespace is empty. */
  readonly held: readonly HeldKind[];
  /** Kinds that could not be listed, with the reason. */
  readonly failures: ReadonlyMap<ResourceType, string>;
}

/**
 * Lists what is left in a namespace that is closed for deletion; undefined for any other. Only the server's word counts,
 * but once a list shows something, kinds whose turn comes later are not asked for: pods come first (and nothing after them
 * when they cannot be listed), then what a cache holds something of, then all the rest.
 */
export const observeContent =
  (informers: Informers) =>
  async (view: View<Namespace>, client: LiveReader): Promise<Content | undefined> => {
    if (!isClosed(view.object)) return undefined;
    const namespace = view.key.name;
    const types = collectableTypes(view.list(CustomResourceDefinitions)).filter(({ namespaced }) => namespaced);
    const cached = new Set(
      informers.all().flatMap((each) => (each.list(namespace).length > 0 ? typeId(each.type) : [])),
    );
    const turns = [
      types.filter(isPods),
      types.filter((type) => !isPods(type) && cached.has(typeId(type))),
      types.filter((type) => !isPods(type) && !cached.has(typeId(type))),
    ];
    const held: HeldKind[] = [];
    const failures = new Map<ResourceType, string>();
    for (const turn of turns) {
      await Promise.all(
        turn.map(async (type) => {
          try {
            const { items } = await client.list(type, { namespace });
            if (items.length > 0) held.push({ type, objects: items });
          } catch (error) {
            // A custom kind may have gone since its definition was read.
            if (!isReason(error, 'NotFound'))
              failures.set(type, error instanceof Error ? error.message : String(error));
          }
        }),
      );
      if (held.length > 0 || (turn === turns[0] && failures.size > 0)) break;
    }
    return { held, failures };
  };
