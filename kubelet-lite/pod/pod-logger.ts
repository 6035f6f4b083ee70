import type { Logger } from '@trimtab/machinery';

/** A child logger that is made when it first has something to say: most pods never have. */
export class PodLogger implements Logger {
  readonly #parent: Logger;
  readonly #pod: string;
  #own: Logger | undefined;

  /** `pod`: what to name it in each line. */
  constructor(parent: Logger, pod: string) {
    this.#parent = parent;
    this.#pod = pod;
  }

  debug(fields: object, message: string): void {
    this.#logger.debug(fields, message);
  }

  info(fields: object, message: string): void {
    this.#logger.info(fields, message);
  }

  warn(fields: object, message: string): void {
    this.#logger.warn(fields, message);
  }

  error(fields: object, message: string): void {
    this.#logger.error(fields, message);
  }

  child(bindings: object): Logger {
    return this.#logger.child(bindings);
  }

  get #logger(): Logger {
    this.#own ??= this.#parent.child({ pod: this.#pod });
    return this.#own;
  }
}
