import { type Client, type Informers, interpose, isWrite } from '@trimtab/client';
import { runControllers } from '@trimtab/framework';
import { type Clock, type Logger, type Random, sleep } from '@trimtab/machinery';
import { GarbageCollector } from './garbage-collector/garbage-collector.js';
import { namespaceController } from './namespace/controller.js';
import { rootCaPublisher } from './root-ca/controller.js';
import { serviceAccountController } from './serviceaccount/controller.js';

/** What each part is started with. */
export interface HousekeepingParts {
  readonly client: Client;
  /** Started by whoever hands them in. */
  readonly informers: Informers;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/** A part of a cluster, as a test kit's world takes it. */
export interface HousekeepingPart {
  readonly name: string;
  start(parts: HousekeepingParts): unknown;
}

export interface HousekeepingOptions {
  /** PEM, published in every namespace; default a text that is none. */
  readonly caCertificate?: string;
}

/**
 * Each write takes that long. One that takes no time would fight a controller with a late view at infinite speed: it deletes
 * what that one makes again, without a moment passing in which the view could catch up.
 */
const WRITE_MS = 200;

const unhurried = (parts: HousekeepingParts): HousekeepingParts => ({
  ...parts,
  client: interpose(parts.client, async (call, next) => {
    if (isWrite(call)) await sleep(parts.clock, WRITE_MS);
    return next(call);
  }),
});

/**
 * What a user of any Kubernetes takes for granted, as parts of a world: dependents go with their owners, namespaces empty and
 * end, and each has its service account and the root certificate. `world({ parts: housekeeping() })`.
 */
export const housekeeping = ({
  caCertificate = 'the certificate of this world',
}: HousekeepingOptions = {}): readonly HousekeepingPart[] => [
  { name: 'garbage-collector', start: (parts) => new GarbageCollector(unhurried(parts)).start() },
  {
    name: 'namespaces',
    start: (given) => {
      const parts = unhurried(given);
      return runControllers(
        [namespaceController(parts), serviceAccountController, rootCaPublisher(caCertificate)],
        parts,
      );
    },
  },
];
