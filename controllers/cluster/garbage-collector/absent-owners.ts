import type { OwnerReference } from '@trimtab/machinery';

const REMEMBERED = 500;

/**
 * Owners the server has said are not there, the latest 500: a uid never comes back, so a thousand dependents of one owner
 * ask for it once.
 */
export class AbsentOwners {
  readonly #known = new Set<string>();

  has(reference: OwnerReference, namespace: string | undefined): boolean {
    return this.#known.has(identify(reference, namespace));
  }

  add(reference: OwnerReference, namespace: string | undefined): void {
    const id = identify(reference, namespace);
    this.#known.delete(id);
    this.#known.add(id);
    const [oldest] = this.#known;
    if (this.#known.size > REMEMBERED && oldest !== undefined) this.#known.delete(oldest);
  }
}

/** The whole reference: one with the right uid and the wrong name says nothing about one that has both right. */
const identify = ({ apiVersion, kind, name, uid }: OwnerReference, namespace: string | undefined): string =>
  [apiVersion, kind, namespace ?? '', name, uid].join('\0');
