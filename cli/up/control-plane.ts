import { networkInterfaces } from 'node:os';
import type { Client, NodeStreamsLookup } from '@trimtab/client';
import type { Clock, Logger, Random } from '@trimtab/machinery';
import {
  type ApiServer,
  Auditor,
  type Branching,
  bootstrapCluster,
  type ClusterSecurity,
  type ClusterSecurityOptions,
  componentUsers,
  createApiServer,
  createClusterSecurity,
  ensurePki,
  type LocalVersions,
  logFile,
  metricsKinds,
  type Pki,
  publishExtensionAuthentication,
  type UserInfo,
} from '@trimtab/server';
import type { Store } from '@trimtab/store';
import { CliError } from '../errors.js';
import { branchingOf, kindsOver } from '../history/branching.js';
import { portHolder } from '../port-holder.js';
import { allOf } from './all-of.js';
import { joinCluster } from './join.js';
import type { UpOptions } from './options.js';
import { openClusterStore } from './store-options.js';

export interface Ambient {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/** Store, identities and API server: a cluster's state and its door, with nothing acting on it yet. */
export interface ControlPlane {
  readonly server: ApiServer;
  readonly pki: Pki;
  readonly security: ClusterSecurity;
  /** The cluster as this user sees it, in process. */
  client(user: UserInfo): Client;
  close(): Promise<void>;
}

export interface Hooks {
  readonly nodeStreams: NodeStreamsLookup;
  readonly notReady: () => readonly string[];
  /** The cluster's certificates have been renewed: {@link ControlPlane.pki} has the new ones. */
  readonly renewed?: () => void;
}

/** Renewal that failed is tried again after a minute, at most. */
const soonestRenewalMs = 60_000;

/** Resolves once requests are answered and everything every cluster has is there. */
export async function startControlPlane(options: UpOptions, ambient: Ambient, hooks: Hooks): Promise<ControlPlane> {
  const { clock, random } = ambient;
  const store = await openClusterStore(options.paths.store, options, ambient);
  let server: ApiServer | undefined;
  let security: ClusterSecurity | undefined;
  let cancelRenewal: (() => void) | undefined;
  const close = (): Promise<void> =>
    allOf(
      () => cancelRenewal?.(),
      () => server?.close(),
      () => security?.close(),
      () => store.close(),
    );
  try {
    const identities = (): Pki =>
      ensurePki(options.paths.pki, {
        names: [options.nodeName],
        addresses: [options.kubernetesIP, options.podGateway, ...localAddresses()],
        dnsDomain: options.dnsDomain,
        clock,
      });
    let pki = identities();
    if (options.etcd) await joinCluster(store, options, pki);
    const secure = (over: Store, frontProxy?: ClusterSecurityOptions['frontProxy']): ClusterSecurity =>
      createClusterSecurity({
        store: over,
        clock,
        random,
        logger: ambient.logger,
        serviceAccountKey: pki.serviceAccountKey,
        serviceCIDR: options.serviceCidr,
        issuer: `https://kubernetes.default.svc.${options.dnsDomain}`,
        requestHeader: options.requestHeader,
        ...(frontProxy ? { frontProxy } : {}),
        ...options.security,
        sharedStore: over.shared ?? false,
      });
    security = secure(store, () => pki.frontProxy);
    // Other servers behind this one answer for themselves, and know of no branch.
    const branching = branchingOf({ ...ambient, secure: (over) => secure(over), pki: () => pki });
    server = await serve(options, ambient, hooks, { store, pki, security, branching }).catch(explainListening(options));
    const served = server;
    const client = (user: UserInfo): Client => served.localClient(user);
    await bootstrapCluster({ client: client(componentUsers.apiServer), reader: security.reader });
    await publishExtensionAuthentication(client(componentUsers.apiServer), {
      clientCa: pki.caCertificate,
      requestHeaderCa: options.requestHeaderCa ?? pki.frontProxy.caCertificate,
      requestHeader: options.requestHeader,
    });
    security.keepWritten(client(componentUsers.apiServer), ambient.logger);
    security.aggregator?.keepWritten(client(componentUsers.apiServer), versionsOf(served));
    const renew = () => {
      cancelRenewal = clock.after(Math.max(pki.renewAt - clock.now(), soonestRenewalMs), () => {
        try {
          pki = identities();
          served.renewCertificate({ cert: pki.serving.certificate, key: pki.serving.key });
          hooks.renewed?.();
        } catch (error) {
          ambient.logger.error({ err: error }, 'the cluster’s certificates could not be renewed');
        }
        renew();
      });
    };
    renew();
    return {
      server,
      get pki() {
        return pki;
      },
      security,
      client,
      close,
    };
  } catch (error) {
    await close().catch(() => {});
    throw error;
  }
}

function serve(
  options: UpOptions,
  ambient: Ambient,
  hooks: Hooks,
  parts: {
    readonly store: Store;
    readonly pki: Pki;
    readonly security: ClusterSecurity;
    readonly branching: Branching;
  },
): Promise<ApiServer> {
  const { store, pki, security, branching } = parts;
  return createApiServer({
    ...ambient,
    ...hooks,
    store,
    branching,
    kinds: [...kindsOver(store, security), metricsKinds(hooks.nodeStreams)],
    authenticator: security.authenticator,
    authorizer: security.authorizer,
    admission: security.admission,
    handlers: security.handlers,
    rawHandlers: security.rawHandlers,
    flow: security.flow,
    aggregator: security.aggregator,
    ...auditOf(options, ambient),
    tls: {
      cert: pki.serving.certificate,
      key: pki.serving.key,
      clientCa: pki.caCertificate,
      requestHeaderCa: options.requestHeaderCa ?? pki.frontProxy.caCertificate,
    },
    bind: options.bind,
    port: options.port,
  });
}

/** The group-versions this server answers itself, each with an APIService of its own. */
function versionsOf({ kinds }: ApiServer): LocalVersions {
  return {
    list: () =>
      kinds
        .groups()
        .flatMap(({ group, versions }) =>
          versions.map(({ version, kinds: of }) => ({ group, version, custom: of.every((kind) => kind.custom) })),
        ),
    changed(listener) {
      const subscription = kinds.changes.subscribe(listener);
      return () => subscription.unsubscribe();
    },
  };
}

function auditOf({ audit }: UpOptions, { clock, logger }: Ambient): { readonly audit?: Auditor } {
  return audit ? { audit: new Auditor(audit.policy, logFile({ ...audit.file, clock, logger }), clock) } : {};
}

/** Says of an address or port that cannot be had which option names it, and of a taken port who has it. */
function explainListening({ bind, port }: UpOptions): (error: unknown) => never {
  return (error) => {
    const cause = error instanceof Error ? (error.cause as NodeJS.ErrnoException | undefined) : undefined;
    if (cause?.code === 'EADDRNOTAVAIL')
      throw new CliError(`--bind ${bind}: this machine has no such address; 127.0.0.1 is for this machine alone`);
    if (cause?.code === 'EACCES')
      throw new CliError(`--port ${port}: ports below 1024 need more privileges; choose a higher one`);
    if (cause?.code !== 'EADDRINUSE') throw error;
    const holder = portHolder(port);
    const who = holder === undefined ? 'another process' : `process ${holder.pid} (${holder.command})`;
    throw new CliError(`port ${port} is in use by ${who}; stop it, or choose another with --port`);
  };
}

/** This machine's addresses, loopback excepted: where clients elsewhere find the API server. */
export function localAddresses(): readonly string[] {
  return Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .filter(({ internal, address }) => !internal && !address.startsWith('fe80:'))
    .map(({ address }) => address);
}
