/** What `call` effects call, by name. Called again after a crash or a failure later in the same evaluation. */
export type Handlers = Readonly<
  Record<string, (argument: never, around: HandlerContext) => Promise<unknown> | unknown>
>;

export interface HandlerContext {
  readonly controller: string;
  /** The key of the object that is being reconciled. */
  readonly key: string;
  /** Fires when the evaluation has run out of time. */
  readonly signal: AbortSignal;
}
