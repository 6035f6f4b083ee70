import { Informers } from '@trimtab/client';
import { type Logger, seededRandom, silentLogger, VirtualClock } from '@trimtab/machinery';
import type { ControllerDefinition } from '../controller.js';
import { type Running, runControllers } from '../run-controllers.js';
import type { RunnerOptions } from '../runner-options.js';
import { MemoryClient } from './memory-client.js';

export interface TestRun {
  readonly clock: VirtualClock;
  readonly client: MemoryClient;
  readonly informers: Informers;
  readonly running: Running;
  /** Lets everything that is due now happen, then `ms` of virtual time. */
  pass(ms?: number): Promise<void>;
  /** Stops the controllers and starts new ones that remember nothing. */
  restart(): Promise<TestRun>;
  stop(): Promise<void>;
}

/** Controllers on a client in memory, in virtual time. */
export async function runInMemory(
  definitions: readonly ControllerDefinition[],
  options: {
    seed?: number;
    clock?: VirtualClock;
    client?: MemoryClient;
    logger?: Logger;
    /** As operators do over a network: see `InformersOptions`. */
    metadataFirst?: boolean;
  } & Pick<RunnerOptions, 'metrics' | 'handlers' | 'tracer' | 'shard'> = {},
): Promise<TestRun> {
  const clock = options.clock ?? new VirtualClock();
  const client = options.client ?? new MemoryClient(clock);
  const random = seededRandom(options.seed ?? 1);
  const logger = options.logger ?? silentLogger;
  const { metadataFirst = false } = options;
  const informers = new Informers({ client, clock, random, logger, metadataFirst, checked: true });
  const { seed: _, clock: __, client: ___, logger: ____, metadataFirst: _____, ...rest } = options;
  const running = runControllers(definitions, {
    client,
    informers,
    clock,
    random,
    logger,
    ...rest,
  });
  informers.start();
  const pass = async (ms = 0) => {
    for (let i = 0; i < 10; i++) await clock.advance(0);
    if (ms > 0) {
      await clock.advance(ms);
      for (let i = 0; i < 10; i++) await clock.advance(0);
    }
  };
  const stop = async () => {
    const stopped = running.stop();
    await pass();
    informers.stop();
    await stopped;
  };
  await pass();
  return {
    clock,
    client,
    informers,
    running,
    pass,
    stop,
    restart: async () => {
      await stop();
      return runInMemory(definitions, { ...options, clock, client, seed: (options.seed ?? 1) + 1 });
    },
  };
}
