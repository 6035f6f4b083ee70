import { type KubeObject, RecentMap } from '@trimtab/machinery';

const TEXTS = 128;
const LONGEST_TEXT = 64 * 1024;

/**
 * The JSON of what was committed last: answers and watch events follow a commit closely, and far fewer of them are under way at
 * once than this.
 */
export class Texts {
  readonly #texts = new RecentMap<KubeObject, string>(TEXTS);

  get(object: KubeObject): string | undefined {
    return this.#texts.get(object);
  }

  remember(object: KubeObject, text: string): void {
    if (text.length <= LONGEST_TEXT) this.#texts.set(object, text);
  }
}
