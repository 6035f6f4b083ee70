import type { ControllerDefinition } from './controller.js';
import { ControllerRunner } from './runner.js';
import type { RunnerOptions } from './runner-options.js';

export interface Running {
  readonly runners: readonly ControllerRunner[];
  /** Resolves with what was still under way when the time for it was over, as `controller key`. */
  stop(): Promise<readonly string[]>;
}

/** Runs several controllers on the same informers. */
export function runControllers(definitions: readonly ControllerDefinition[], options: RunnerOptions): Running {
  const runners = definitions.map((definition) => new ControllerRunner(definition, options));
  for (const runner of runners) runner.start();
  return {
    runners,
    stop: async () => {
      const left = await Promise.all(
        runners.map(async (runner) => (await runner.stop()).map((key) => `${runner.definition.name} ${key}`)),
      );
      return left.flat();
    },
  };
}
