import http from 'node:http';
import https from 'node:https';
import { type Client, Informers } from '@trimtab/client';
import { type Clock, isReason, type KubeObject, type Logger, type Random, type ResourceType } from '@trimtab/machinery';
import type { Admission } from './admission.js';
import { audits } from './audits.js';
import type { ControllerDefinition } from './controller.js';
import type { Convertible } from './conversion.js';
import { countedClient } from './counted-client.js';
import { warnOfCrowds } from './crowded-caches.js';
import type { Handlers } from './handlers.js';
import { type Health, healthOf } from './health.js';
import { LeaderElection } from './leader-election.js';
import type { LeaseTimes } from './lease.js';
import { listen, observability, reviews } from './operator-http.js';
import { PrometheusMetrics } from './prometheus.js';
import { type Running, runControllers } from './run-controllers.js';
import { TraceLog } from './trace.js';

/** What an operator is made of: data, and the handlers for what lies outside the cluster. */
export interface OperatorDefinition {
  readonly name: string;
  readonly controllers: readonly ControllerDefinition[];
  readonly handlers?: Handlers;
  readonly admissions?: readonly Admission[];
  /** Kinds it answers for when a server asks how to show them in another version. */
  readonly conversions?: readonly Convertible[];
  /** CustomResourceDefinitions it brings along. */
  readonly definitions?: readonly KubeObject[];
}

export const operator = (definition: OperatorDefinition): OperatorDefinition => definition;

export interface OperatorOptions {
  readonly client: Client;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** Installs the definitions before it starts; default true. */
  readonly install?: boolean;
  /** Only one of several instances works; default: all who start do. */
  readonly leaderElection?: {
    readonly namespace: string;
    readonly identity: string;
    readonly times?: Partial<LeaseTimes>;
  };
  /** `/healthz`, `/readyz`, `/metrics`, `/traces`, `/machines`, where given; port 0 picks one. */
  readonly http?: { readonly host?: string; readonly port: number };
  /** `/mutate`, `/validate` and `/convert`, where given. */
  readonly webhooks?: { readonly host?: string; readonly port: number; readonly cert: string; readonly key: string };
  /** Caches to go on with, of a process that reloads its code; default: its own. */
  readonly informers?: Informers;
  /** How often the caches are held against the server (a list each); what is wrong is logged and counted. Default never. */
  readonly auditMs?: number;
  /** Only metadata is watched of kinds of which nothing else is read; default true. Nothing to those who give `informers`. */
  readonly metadataFirst?: boolean;
}

export interface RunningOperator {
  readonly informers: Informers;
  readonly metrics: PrometheusMetrics;
  readonly traces: TraceLog;
  readonly leading: boolean;
  readonly port: number | undefined;
  readonly webhookPort: number | undefined;
  health(): Health;
  /** Ends what is under way, gives up leadership, and says what had to be left: `controller key: effect under way`. */
  stop(): Promise<readonly string[]>;
}

const CRDS: ResourceType = {
  group: 'apiextensions.k8s.io',
  version: 'v1',
  kind: 'CustomResourceDefinition',
  resource: 'customresourcedefinitions',
  namespaced: false,
};

/** Runs an operator against whatever cluster the client speaks to. */
export async function runOperator(definition: OperatorDefinition, options: OperatorOptions): Promise<RunningOperator> {
  const { clock, random, logger, install = true, leaderElection, metadataFirst = true } = options;
  const { name, controllers, handlers, definitions = [], admissions = [], conversions = [] } = definition;
  const metrics = new PrometheusMetrics();
  const client = countedClient(options.client, clock, metrics);
  if (install) for (const each of definitions) await installed(client, each, name);
  const traces = new TraceLog();
  const informers = options.informers ?? new Informers({ client, clock, random, logger, metadataFirst });
  let running: Running | undefined;
  let ending: Promise<readonly string[]> = Promise.resolve([]);
  const begin = (through: Client) => {
    const parts = { client: through, informers, clock, random, logger, metrics, tracer: traces.record };
    running = runControllers(controllers, { ...parts, ...(handlers ? { handlers } : {}) });
  };
  const end = () => {
    const stopped = running?.drain();
    running = undefined;
    if (stopped) ending = stopped;
  };
  const election =
    leaderElection &&
    new LeaderElection({
      client,
      lease: { namespace: leaderElection.namespace, name },
      identity: leaderElection.identity,
      clock,
      random,
      logger,
      metrics,
      ...(leaderElection.times ? { times: leaderElection.times } : {}),
      onElected: () => begin(election!.fenced(client)),
      onLost: end,
    });
  // Caches are warm before anybody is elected.
  if (election) for (const controller of controllers) informers.get(controller.for);
  informers.start();
  if (election) election.start();
  else begin(client);
  void warnOfCrowds(informers, logger);
  const stopAudits =
    options.auditMs === undefined ? () => {} : audits(options.auditMs, { client, clock, logger, informers, metrics });
  const health = () => healthOf(informers, running?.runners ?? []);
  const servers: http.Server[] = [];
  const port =
    options.http &&
    (await listen(
      servers,
      http.createServer(observability({ health, metrics, traces, informers, runners: () => running?.runners ?? [] })),
      options.http,
    ));
  const webhookPort =
    options.webhooks &&
    (await listen(
      servers,
      https.createServer(options.webhooks, reviews({ admissions, conversions })) as unknown as http.Server,
      options.webhooks,
    ));
  return {
    informers,
    metrics,
    traces,
    get leading() {
      return election ? election.leading : true;
    },
    port,
    webhookPort,
    health,
    async stop() {
      stopAudits();
      end();
      const left = await ending;
      await election?.stop();
      if (!options.informers) informers.stop();
      for (const server of servers) server.close();
      return left;
    },
  };
}

/** By server-side apply, so that a newer operator changes what an older one has installed. */
async function installed(client: Client, definition: KubeObject, manager: string): Promise<void> {
  const key = { name: definition.metadata.name! };
  await client
    .patch(CRDS, key, { type: 'apply', body: definition }, { fieldManager: manager, force: true })
    .catch((error: unknown) => {
      if (!isReason(error, 'Forbidden')) throw error;
      throw new Error(`may not install ${key.name}: have an administrator apply it, or run with install: false`, {
        cause: error,
      });
    });
}
