import { type Client, Informers } from '@trimtab/client';
import { type ControllerMetrics, runControllers } from '@trimtab/framework';
import type { Clock, Logger, Random } from '@trimtab/machinery';
import { bootstrapSigner, tokenCleaner } from './cluster/bootstrap-token/controllers.js';
import { certificateController } from './cluster/certificates/controller.js';
import { EventTtl } from './cluster/event-ttl/event-ttl.js';
import { GarbageCollector } from './cluster/garbage-collector/garbage-collector.js';
import type { Identities } from './cluster/identities.js';
import { namespaceController } from './cluster/namespace/controller.js';
import { nodeLifecycleController } from './cluster/node-lifecycle/controller.js';
import { podGarbageCollector } from './cluster/pod-gc/controller.js';
import { rootCaPublisher } from './cluster/root-ca/controller.js';
import { serviceAccountController } from './cluster/serviceaccount/controller.js';
import { tokenSecretController } from './cluster/serviceaccount/token-controller.js';
import { endpointSliceController, endpointSliceMirroringController, endpointsController } from './network/index.js';
import { Scheduler } from './scheduler/scheduler.js';
import { storageControllers } from './storage/index.js';
import { horizontalPodAutoscalerController, type MetricsReader, workloadControllers } from './workloads/index.js';

export interface ControllersOptions {
  readonly client: Client;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** PEM of the API server's certificate authority, published in every namespace. */
  readonly caCertificate: string;
  /** Absent: certificates are not signed and Secrets get no tokens. */
  readonly identities?: Identities;
  readonly metrics?: ControllerMetrics;
  /** Reads the metrics APIs, which are served by others. Absent: HorizontalPodAutoscalers do nothing. */
  readonly metricsReader?: MetricsReader;
  /** How long events stay after they were last seen; default an hour, 0 for ever. */
  readonly eventTtlMs?: number;
  /** Pods that have ended and may stay; default 12,500, 0 all of them. */
  readonly terminatedPodThreshold?: number;
}

export interface Controllers {
  readonly informers: Informers;
  stop(): Promise<void>;
}

/** Starts everything that makes a cluster out of an API, on shared informers. Resolves when all of it is at work. */
export async function startControllers(options: ControllersOptions): Promise<Controllers> {
  const { client, clock, random, logger, metrics } = options;
  const informers = new Informers({ client, clock, random, logger });
  const parts = { client, informers, clock, random, logger, ...(metrics ? { metrics } : {}) };
  const definitions = [
    ...workloadControllers,
    ...(options.metricsReader ? [horizontalPodAutoscalerController(options.metricsReader)] : []),
    endpointSliceController,
    endpointsController,
    endpointSliceMirroringController,
    ...storageControllers,
    serviceAccountController,
    rootCaPublisher(options.caCertificate),
    tokenCleaner,
    bootstrapSigner,
    ...(options.identities
      ? [certificateController(options.identities), tokenSecretController(options.identities, options.caCertificate)]
      : []),
    nodeLifecycleController({ startedAt: clock.now() }),
    podGarbageCollector(options),
    namespaceController({ informers }),
  ];
  const running = runControllers(definitions, parts);
  const loops = [
    new Scheduler(parts),
    new GarbageCollector(parts),
    new EventTtl({ ...parts, eventTtlMs: options.eventTtlMs }),
  ];
  informers.start();
  await Promise.all(loops.map((loop) => loop.start()));
  return {
    informers,
    async stop() {
      await Promise.all([running.stop(), ...loops.map((loop) => loop.stop())]);
      informers.stop();
    },
  };
}
