import { setMaxListeners } from 'node:events';
import type { Client, NodeStreamsLookup } from '@trimtab/client';
import { anotherTurn, type Clock, type Logger, notFound, type Random } from '@trimtab/machinery';
import type { Store } from '@trimtab/store';
import type { Aggregator } from './aggregation/aggregator.js';
import type { Auditor } from './audit/auditor.js';
import type {
  AdmissionPlugin,
  Authenticator,
  Authorizer,
  CreateOnlyHandlers,
  RawHandler,
  UserInfo,
} from './contracts.js';
import type { FlowControl } from './flowcontrol/flow-control.js';
import { Branches, type RunningBranch } from './history/branches.js';
import type { MakeRules, Rules } from './history/carry-out.js';
import { BRANCHES, branchOf, MountedExchange } from './history/mount.js';
import type { HistoryParts } from './history/room.js';
import { Discovery } from './http/discovery.js';
import { ObjectEncoder } from './http/encoding.js';
import { handle } from './http/handle.js';
import { listen, type TlsOptions } from './http/listen.js';
import { Metrics } from './http/metrics.js';
import { OpenApi } from './http/openapi.js';
import type { Documents, HttpParts } from './http/parts.js';
import { Seats } from './http/seats.js';
import { versionInfo } from './http/version.js';
import { LocalClient } from './local-client.js';
import { Pace } from './pace.js';
import type { Registry } from './registry/context.js';
import { FieldIndexes } from './registry/field-index.js';
import { KindTable } from './registry/kind-table.js';
import type { KindSource } from './registry/served-kind.js';
import { handleUpgrade } from './streams/upgrade.js';
import { figures } from './tally/figures.js';
import { Tally } from './tally/tally.js';

export interface ApiServerOptions {
  readonly store: Store;
  /** Where kinds come from; the first source that has a path serves it. */
  readonly kinds: readonly KindSource[];
  readonly authenticator: Authenticator;
  readonly authorizer: Authorizer;
  /** In the order they run. */
  readonly admission?: readonly AdmissionPlugin[];
  readonly handlers?: CreateOnlyHandlers;
  /** By exact path. */
  readonly rawHandlers?: Readonly<Record<string, RawHandler>>;
  readonly nodeStreams?: NodeStreamsLookup;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly tls: TlsOptions;
  /** An address of this machine; `127.0.0.1` unless said otherwise. */
  readonly bind?: string;
  /** 0 picks a free one. */
  readonly port: number;
  /** The host clients are told to connect to; the bind address unless said otherwise. */
  readonly host?: string;
  /** How many requests execute at once; 128 unless said otherwise. */
  readonly maxExecuting?: number;
  readonly flow?: FlowControl;
  readonly audit?: Auditor;
  readonly aggregator?: Aggregator;
  /** Absent: no branches, and nothing can be undone. */
  readonly branching?: Branching;
  /** Names of what is not ready yet, for `/readyz`; none unless said otherwise. */
  readonly notReady?: () => readonly string[];
}

/** How this API is made again over another store, and what lives on it there. */
export interface Branching {
  /** The rules of writes; asked for trials, so it is to be quick. */
  readonly rules: MakeRules;
  /** Everything that answers a branch's requests. */
  realm(store: Store): Realm;
}

export interface Realm extends Rules, Pick<ApiServerOptions, 'authenticator' | 'rawHandlers' | 'flow'> {
  /** Starts controllers and simulated nodes; the branch answers meanwhile. */
  inhabit(branch: BranchAccess): Promise<Inhabitants>;
}

/** A branch for the parts of a cluster that live on it. */
export interface BranchAccess {
  readonly name: string;
  client(user: UserInfo, fieldManager?: string): Client;
  /** The revision it began with. */
  readonly since: number;
}

export interface Inhabitants {
  readonly nodeStreams: NodeStreamsLookup;
  stop(): Promise<void>;
}

export interface ApiServer {
  /** `https://host:port` */
  readonly url: string;
  readonly port: number;
  readonly kinds: KindTable;
  /** The cluster for a part in this process that acts as `user`; `fieldManager` names it in managed fields. */
  localClient(user: UserInfo, fieldManager?: string): Client;
  /** Shows new connections this certificate; those that are open stay. */
  renewCertificate(pair: { readonly cert: string; readonly key: string }): void;
  /** Ends watches and streams and frees the port. The store stays open. */
  close(): Promise<void>;
}

/** The registry without a port: for tests and simulations, which talk to it through {@link localClientOf}. */
export function createRegistry(
  options: Pick<ApiServerOptions, 'store' | 'kinds' | 'admission' | 'handlers' | 'clock' | 'random' | 'logger'> &
    Partial<Pick<Registry, 'tally'>>,
): Registry {
  return {
    store: options.store,
    kinds: new KindTable(options.kinds),
    indexes: new FieldIndexes(options.store),
    admission: options.admission ?? [],
    handlers: options.handlers ?? {},
    clock: options.clock,
    random: options.random,
    logger: options.logger,
    tally: options.tally ?? new Tally(),
  };
}

export function localClientOf(
  registry: Registry,
  authorizer: Authorizer,
  user: UserInfo,
  fieldManager = user.name.slice(user.name.lastIndexOf(':') + 1),
  pace?: Pace,
): Client {
  return new LocalClient({ registry, authorizer, user, fieldManager, raw: rawPath, ...(pace ? { pace } : {}) });
}

async function rawPath(path: string): Promise<string> {
  if (path === '/version') return JSON.stringify(versionInfo);
  if (/^\/(healthz|livez|readyz)$/.test(path)) return 'ok';
  throw notFound({ group: '', resource: 'paths' }, path);
}

function* objectCounts({ kinds, store }: Registry): Generator<readonly [string, number]> {
  const snapshot = store.snapshot();
  const seen = new Set<string>();
  for (const { storage, verbs } of kinds.all()) {
    if (!verbs.includes('list') || seen.has(storage.resource)) continue;
    seen.add(storage.resource);
    const [group, resource] = storage.resource.split('/');
    yield [group ? `${resource}.${group}` : resource!, snapshot.count({ resource: storage.resource })];
  }
}

/** Long enough for the cluster's other parts to start first. */
const metricsDelay = 2000;

/** Everything of a server but its door: what answers requests, and what ends that. */
interface Serving {
  readonly parts: HttpParts;
  close(): void;
}

function serving(options: Omit<ApiServerOptions, 'tls' | 'port'>, registry: Registry, history: HistoryParts): Serving {
  const { authenticator, authorizer, clock } = options;
  const seats = new Seats(options.maxExecuting ?? 128, clock);
  const closing = new AbortController();
  setMaxListeners(0, closing.signal);
  const discovery = new Discovery(registry.kinds);
  const openapi = new OpenApi(registry.kinds, () => clock.now());
  const documents: Documents = (path, accept, query) =>
    discovery.document(path, accept) ?? openapi.document(path, accept, query);
  const parts: HttpParts = {
    registry,
    authenticator,
    authorizer,
    encoder: new ObjectEncoder((object) => options.store.text?.(object)),
    seats,
    flow: options.flow,
    audit: options.audit,
    aggregator: options.aggregator,
    history,
    metrics: new Metrics(seats, options.store, registry.tally, () => objectCounts(registry), options),
    nodeStreams: options.nodeStreams ?? (() => undefined),
    rawHandlers: options.rawHandlers ?? {},
    documents: options.aggregator?.documents(documents) ?? documents,
    closing: closing.signal,
    notReady: options.notReady ?? (() => []),
  };
  return { parts, close: () => closing.abort() };
}

/** Resolves once requests are answered. Rejects with an error naming the port when it cannot be had. */
export async function createApiServer(options: ApiServerOptions): Promise<ApiServer> {
  const registry = createRegistry(options);
  const { authorizer, clock, logger, branching } = options;
  const mounted = new Map<string, HttpParts>();
  const pace = new Pace(clock);
  const branches =
    branching &&
    new Branches(registry, (name, store, written) => startBranch(options, mounted, name, store, written, pace));
  const { parts, close } = serving(options, registry, {
    ...(branching ? { makeRules: branching.rules } : {}),
    ...(branches ? { branches } : {}),
  });
  const bind = options.bind ?? '127.0.0.1';
  const unexpected = (error: unknown) => logger.error({ err: error }, 'an answer could not be given');
  const listener = await listen({
    bind,
    port: options.port,
    tls: options.tls,
    handle: (exchange) => {
      const branch = branchOf(exchange.url);
      const below = branch && mounted.get(branch.name);
      const answered = below ? handle(below, new MountedExchange(exchange, branch.rest)) : handle(parts, exchange);
      void answered.catch(unexpected);
    },
    upgrade: (request, peer, socket, head) => {
      const branch = branchOf(request.url ?? '/');
      const below = branch && mounted.get(branch.name);
      if (below) request.url = branch.rest;
      void handleUpgrade(below ?? parts, request, peer, socket, head).catch(unexpected);
    },
    onError: (error) => logger.debug({ err: error }, 'connection error'),
    onHandshakeError: () => registry.tally.count(figures.handshakeErrors, []),
  });
  const cancelMetrics = clock.after(metricsDelay, () => void parts.metrics.load());
  const host = options.host ?? (bind === '0.0.0.0' || bind === '::' ? '127.0.0.1' : bind);
  return {
    url: `https://${host.includes(':') ? `[${host}]` : host}:${listener.port}`,
    port: listener.port,
    kinds: registry.kinds,
    localClient: (user, fieldManager) => localClientOf(registry, authorizer, user, fieldManager, pace),
    renewCertificate: (pair) => listener.renew(pair),
    close: async () => {
      cancelMetrics();
      close();
      await branches?.close();
      await listener.close().finally(() => options.audit?.sink.close());
    },
  };
}

/** An API of its own over a branch's store, below the branch's path, by rules made anew over that store. */
async function startBranch(
  options: ApiServerOptions,
  mounted: Map<string, HttpParts>,
  name: string,
  store: Store,
  written: Store,
  pace: Pace,
): Promise<RunningBranch> {
  const { clock, random, logger } = options;
  const rules = options.branching!.realm(store);
  const own = { ...rules, store, clock, random, logger };
  const inside = createRegistry(own);
  const outside: Registry = { ...inside, store: written };
  let nodeStreams: NodeStreamsLookup = () => undefined;
  const { parts, close } = serving(
    { ...own, nodeStreams: (node) => nodeStreams(node), audit: options.audit },
    outside,
    { makeRules: options.branching!.rules },
  );
  const documents = prefixed(parts.documents, `${BRANCHES}${name}`);
  const served = { ...parts, documents };
  mounted.set(name, served);
  const since = store.revision;
  // Its controllers look at everything there is; whoever asked for the branch is answered first.
  const inhabitants = anotherTurn().then(() =>
    rules.inhabit({
      name,
      client: (user, fieldManager) => localClientOf(inside, rules.authorizer, user, fieldManager, pace),
      since,
    }),
  );
  inhabitants.then(
    (living) => {
      nodeStreams = living.nodeStreams;
    },
    (error: unknown) => logger.error({ err: error, branch: name }, 'a branch could not be brought to life'),
  );
  return {
    registry: outside,
    async stop() {
      if (mounted.get(name) === served) mounted.delete(name);
      close();
      await inhabitants.then(
        (living) => living.stop(),
        () => {},
      );
      rules.close();
    },
  };
}

/** Documents that name paths of this server name them below the prefix. */
function prefixed(documents: Documents, prefix: string): Documents {
  return (path, accept, query) => {
    const document = documents(path, accept, query);
    if (!document || path.replace(/\/$/, '') !== '/openapi/v3') return document;
    const body = document.body.toString('utf8').replaceAll('"serverRelativeURL":"/', `"serverRelativeURL":"${prefix}/`);
    return { ...document, body: Buffer.from(body) };
  };
}
