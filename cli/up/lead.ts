import type { Client } from '@trimtab/client';
import { LeaderElection, type LeaseTimes } from '@trimtab/framework';
import { allOf } from './all-of.js';
import type { Ambient } from './control-plane.js';

export interface Leading {
  /** Ends what was begun, then lets another lead. */
  stop(): Promise<void>;
}

export interface LeadOptions extends Ambient {
  /** For the lease itself. */
  readonly client: Client;
  readonly identity: string;
  readonly times: LeaseTimes;
  /** Begins the work of a leader, through a client that refuses to write once somebody else may lead. */
  readonly begin: (fenced: (client: Client) => Client) => Promise<{ stop(): Promise<void> }>;
}

export const leaderLease = { namespace: 'kube-system', name: 'trimtab-controllers' };

/** Does a leader's work whenever this process leads. Resolves at once: whether it leads is decided later, and again. */
export function lead({ client, identity, times, begin, ...ambient }: LeadOptions): Leading {
  const { logger } = ambient;
  let work: Promise<{ stop(): Promise<void> } | undefined> = Promise.resolve(undefined);
  const end = () => {
    work = work
      .then(async (running) => {
        await running?.stop();
        return undefined;
      })
      .catch((error: unknown) => {
        logger.error({ err: error }, 'controllers did not stop as they should');
        return undefined;
      });
  };
  const election = new LeaderElection({
    ...ambient,
    client,
    lease: leaderLease,
    identity,
    times,
    onElected: () => {
      work = work
        .then(() => (election.leading ? begin((other) => election.fenced(other)) : undefined))
        .catch((error: unknown) => {
          logger.error({ err: error }, 'controllers could not be started');
          return undefined;
        });
    },
    onLost: end,
  });
  election.start();
  return {
    stop: () =>
      allOf(
        async () => {
          end();
          await work;
        },
        () => election.stop(),
      ),
  };
}
