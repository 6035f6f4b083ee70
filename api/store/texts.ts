import type { KubeObject } from '@trimtab/machinery';

/** In each of two generations. */
const TEXTS = 128;
const LONGEST_TEXT = 64 * 1024;

/**
 * The JSON of what was committed last: answers and watch events follow a commit closely, and far fewer of them are under way at
 * once than this.
 */
export class Texts {
  #younger = new Map<KubeObject, string>();
  #older: ReadonlyMap<KubeObject, string> = new Map();

  get(object: KubeObject): string | undefined {
    return this.#younger.get(object) ?? this.#older.get(object);
  }

  remember(object: KubeObject, text: string): void {
    if (this.#younger.size >= TEXTS) {
      this.#older = this.#younger;
      this.#younger = new Map();
    }
    if (text.length <= LONGEST_TEXT) this.#younger.set(object, text);
  }
}
