import type { ControllerDefinition } from './controller.js';
import { ControllerRunner } from './runner.js';
import type { RunnerOptions } from './runner-options.js';

export interface Running {
  readonly runners: readonly ControllerRunner[];
  /** Begins nothing new; resolves when what is under way has ended, or after 30 s. */
  stop(): Promise<void>;
  /** The same, and resolves with what was still under way when the time for it was over, as `controller key: effect`. */
  drain(): Promise<readonly string[]>;
}

/** Runs several controllers on the same informers. */
export function runControllers(definitions: readonly ControllerDefinition[], options: RunnerOptions): Running {
  const runners = definitions.map((definition) => new ControllerRunner(definition, options));
  for (const runner of runners) runner.start();
  const drain = async () => {
    const left = await Promise.all(
      runners.map(async (runner) => (await runner.stop()).map((key) => `${runner.definition.name} ${key}`)),
    );
    return left.flat();
  };
  return {
    runners,
    drain,
    stop: async () => {
      await drain();
    },
  };
}
