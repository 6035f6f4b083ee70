import type { KeyObject } from 'node:crypto';
import type { Client } from '@trimtab/client';
import { type Clock, type Logger, type Random, silentLogger, timestamp } from '@trimtab/machinery';
import type { Operation, Store } from '@trimtab/store';
import { admissionStrategies, builtinAdmission } from '../admission/index.js';
import { keepPolicyStatus } from '../admission/policies/policy-status.js';
import type { Follow } from '../admission/quota-ledger.js';
import { keepQuotaStatus } from '../admission/quota-status.js';
import type { FollowAll } from '../admission/webhooks/plugins.js';
import { Aggregator } from '../aggregation/aggregator.js';
import { createAuthenticator, type DecidingAuthenticator } from '../authentication/authenticate.js';
import { bootstrapTokens } from '../authentication/bootstrap-tokens.js';
import { mastersGroup, nodesGroup } from '../authentication/groups.js';
import { type OidcOptions, oidcTokens } from '../authentication/oidc.js';
import { httpsJson } from '../authentication/oidc-fetch.js';
import type { RequestHeaderOptions } from '../authentication/request-header.js';
import { selfSubjectReviewHandler, tokenReviewHandler } from '../authentication/reviews.js';
import { createTokenIssuer, type TokenIssuer } from '../authentication/service-account-tokens.js';
import { staticTokens } from '../authentication/static-tokens.js';
import { serviceAccountTokens } from '../authentication/token-authenticator.js';
import { tokenRequestHandler } from '../authentication/token-request.js';
import { type AbacPolicy, abacAuthorizer } from '../authorization/abac.js';
import { escalationCheck } from '../authorization/escalation.js';
import { nodeAuthorizer } from '../authorization/node-authorizer.js';
import { NodeReferences } from '../authorization/node-references.js';
import { mastersAuthorizer, rbacAuthorizer, unionAuthorizer } from '../authorization/rbac-authorizer.js';
import { RbacIndex, rbacResources } from '../authorization/rbac-index.js';
import { rbacGroup } from '../authorization/rbac-types.js';
import { accessReviewHandlers } from '../authorization/reviews.js';
import { keepAggregatedRoles } from '../authorization/role-aggregation.js';
import { followChanges, followStore, type ObjectChange, storeReader } from '../authorization/store-feed.js';
import type { KeyPair } from '../certificates/certificate.js';
import { signingRequestAdmission, signingRequestStrategy, signingRequests } from '../certificates/request-kind.js';
import type {
  AdmissionPlugin,
  Authorizer,
  CreateOnlyHandlers,
  ObjectReader,
  RawHandler,
  Strategy,
  UserInfo,
} from '../contracts.js';
import { keepDangling } from '../flowcontrol/dangling.js';
import { FlowControl, flowResources } from '../flowcontrol/flow-control.js';
import { ipAddresses, keepServiceAddresses } from '../registry/service-addresses.js';
import { createBuiltinStrategies } from '../registry/strategies/index.js';
import { ServiceAllocator } from '../registry/strategies/service-allocator.js';
import type { ClosableWebhookCaller, WebhookCaller } from '../webhook/caller.js';
import { endpointResolver } from '../webhook/service-resolver.js';

export interface ClusterSecurityOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger?: Logger;
  /** Of {@link ensurePki}. */
  readonly serviceAccountKey: { readonly privateKey: KeyObject; readonly publicKey: KeyObject };
  readonly serviceCIDR: string;
  readonly nodePorts?: { readonly from: number; readonly to: number };
  /** `iss` of service-account tokens and first audience; default `https://kubernetes.default.svc.cluster.local`. */
  readonly issuer?: string;
  readonly staticUsers?: ReadonlyMap<string, UserInfo>;
  readonly anonymous?: readonly string[] | 'all' | 'none';
  /** An issuer whose ID tokens are accepted; `ca` (PEM) is trusted for asking it, in place of the machine's authorities. */
  readonly oidc?: OidcOptions & { readonly ca?: string };
  readonly requestHeader?: RequestHeaderOptions;
  /** In the order asked; default `Node`, `RBAC`. */
  readonly authorizationModes?: readonly AuthorizationMode[];
  /** For the mode `ABAC`. */
  readonly policies?: readonly AbacPolicy[];
  /** Seats of API priority and fairness; default 600. */
  readonly seats?: number;
  /** With which the server speaks for its callers to aggregated servers; absent: there are none. */
  readonly frontProxy?: () => KeyPair;
  /** Further admission plugins, run before ResourceQuota. */
  readonly admission?: readonly AdmissionPlugin[];
  readonly disabledAdmission?: readonly string[];
  /** Whether other API servers write to the same store; quotas are then kept by the store's own transactions. */
  readonly sharedStore?: boolean;
  /** Admission plugins to run that are off by default. */
  readonly enabledAdmission?: readonly string[];
  /** How webhooks are called; over HTTPS, a service's at its ready endpoints, unless said otherwise. */
  readonly webhooks?: WebhookCaller;
}

export type AuthorizationMode = 'Node' | 'RBAC' | 'ABAC' | 'AlwaysAllow' | 'AlwaysDeny';

/** Everything an API server is handed to be secure and to know its kinds. */
export interface ClusterSecurity {
  readonly reader: ObjectReader;
  readonly authenticator: DecidingAuthenticator;
  readonly authorizer: Authorizer;
  readonly admission: readonly AdmissionPlugin[];
  readonly handlers: CreateOnlyHandlers;
  readonly rawHandlers: Readonly<Record<string, RawHandler>>;
  /** By `<group>/<plural>` of the storage version. */
  readonly strategies: Readonly<Record<string, Strategy>>;
  readonly tokens: TokenIssuer;
  /** Asks the cluster's webhooks; for what converts custom kinds as well. */
  readonly webhooks: WebhookCaller;
  readonly flow: FlowControl;
  readonly aggregator: Aggregator | undefined;
  readonly services: ServiceAllocator;
  /**
   * Begins to write down what is computed here anyway, for others to read: the rules of aggregated ClusterRoles and the usage
   * in ResourceQuotas. `client` acts as {@link componentUsers.apiServer}.
   */
  keepWritten(client: Client, logger: Logger): void;
  /** Stops following the store. */
  close(): void;
}

/** The users under which the cluster's own parts act in process. */
export const componentUsers = {
  apiServer: { name: 'system:apiserver', groups: [mastersGroup, 'system:authenticated'] },
  controllerManager: { name: 'system:kube-controller-manager', groups: ['system:authenticated'] },
  scheduler: { name: 'system:kube-scheduler', groups: ['system:authenticated'] },
  node: (name: string): UserInfo => ({ name: `system:node:${name}`, groups: [nodesGroup, 'system:authenticated'] }),
} as const;

/** Changed by every write that takes an address or a port, and expected as it was when it began to. */
function serviceFence(store: Store): Operation {
  const key = { resource: 'trimtab.dev/ranges', namespace: '', name: 'services' };
  const metadata = { name: key.name };
  return { type: 'put', key, object: { metadata }, expect: store.snapshot().get(key)?.revision ?? 0 };
}

/**
 * Authentication, authorization, admission, reviews, tokens and strategies, joined over one store and current with it: an
 * acknowledged write of a role counts for the next request.
 */
export function createClusterSecurity(options: ClusterSecurityOptions): ClusterSecurity {
  const { store, clock, random } = options;
  const reader = storeReader(store);
  const rbac = new RbacIndex();
  const references = new NodeReferences();
  const services = new ServiceAllocator({
    serviceCIDR: options.serviceCIDR,
    nodePorts: options.nodePorts,
    random,
    ...(options.sharedStore && { fence: () => serviceFence(store) }),
  });
  const flow = new FlowControl({ clock, seats: options.seats ?? 600 });
  const stops = [
    () => flow.close(),
    followStore(store, rbacResources, (change) => rbac.apply(change)),
    followStore(store, ['/pods'], (change) => references.apply(change)),
    followStore(store, flowResources, (change) => flow.apply(change)),
    followStore(store, ['/services', ipAddresses], (change) => services.apply(change)),
  ];

  const follow: Follow = (resource, apply) => {
    const stop = followChanges(store, resource, store.revision, apply);
    stops.push(stop);
    return stop;
  };

  const followAll: FollowAll = (resource, apply) => void stops.push(followStore(store, [resource], apply));
  let webhooks: Promise<ClosableWebhookCaller> | undefined;
  const webhookCaller: WebhookCaller = options.webhooks ?? {
    async call(clientConfig, body, timeoutMs) {
      webhooks ??= import('../webhook/caller.js').then(({ httpsWebhookCaller }) =>
        httpsWebhookCaller({ services: endpointResolver(reader) }),
      );
      return (await webhooks).call(clientConfig, body, timeoutMs);
    },
  };

  const aggregator =
    options.frontProxy &&
    new Aggregator({ reader, follow, clock, logger: options.logger ?? silentLogger, client: options.frontProxy });
  if (aggregator) stops.push(() => aggregator.close());
  const issuer = options.issuer ?? 'https://kubernetes.default.svc.cluster.local';
  const audiences = [issuer, 'https://kubernetes.default.svc'];
  const tokens = createTokenIssuer({ issuer, audiences, key: options.serviceAccountKey, clock, random });
  const authenticators = [
    ...(options.staticUsers ? [staticTokens(options.staticUsers, audiences)] : []),
    serviceAccountTokens(tokens, reader, clock),
    bootstrapTokens(reader, clock, audiences),
    ...(options.oidc ? [oidcTokens(options.oidc, { clock, fetch: httpsJson(options.oidc.ca) }, audiences)] : []),
  ];
  const authorizers: Readonly<Record<AuthorizationMode, () => Authorizer>> = {
    Node: () => nodeAuthorizer(references, reader),
    RBAC: () => rbacAuthorizer(rbac),
    ABAC: () => abacAuthorizer(options.policies ?? []),
    AlwaysAllow: () => ({ authorize: () => ({ allowed: true, reason: '' }) }),
    AlwaysDeny: () => ({ authorize: () => ({ allowed: false, reason: 'Everything is forbidden.' }) }),
  };
  const modes = options.authorizationModes ?? ['Node', 'RBAC'];
  const authorizer = unionAuthorizer([mastersAuthorizer, ...modes.map((mode) => authorizers[mode]())]);
  const keySetPath = '/openid/v1/jwks';

  return {
    reader,
    authenticator: createAuthenticator({
      tokens: authenticators,
      anonymous: options.anonymous,
      requestHeader: options.requestHeader,
    }),
    authorizer,
    admission: builtinAdmission({
      reader,
      clock,
      random,
      follow,
      followAll,
      authorizer,
      webhooks: webhookCaller,
      extra: [
        escalationCheck(rbac, authorizer),
        signingRequestAdmission(authorizer, () => clock.now()),
        ...(options.admission ?? []),
      ],
      disabled: options.disabledAdmission,
      enabled: options.enabledAdmission,
      sharedStore: options.sharedStore,
    }),
    handlers: {
      ...accessReviewHandlers(authorizer),
      'authentication.k8s.io/tokenreviews': tokenReviewHandler(authenticators, audiences),
      'authentication.k8s.io/selfsubjectreviews': selfSubjectReviewHandler(clock),
      '/serviceaccounts/token': tokenRequestHandler(tokens, reader, clock),
    },
    rawHandlers: {
      [keySetPath]: async () => ({ contentType: 'application/jwk-set+json', body: await tokens.keySet() }),
      '/.well-known/openid-configuration': () => ({
        contentType: 'application/json',
        body: tokens.discovery(`${issuer}${keySetPath}`),
      }),
    },
    strategies: {
      ...admissionStrategies(createBuiltinStrategies({ services })),
      [signingRequests]: signingRequestStrategy,
    },
    tokens,
    webhooks: webhookCaller,
    flow,
    aggregator,
    services,
    keepWritten(client, logger) {
      const roles = (apply: (change: ObjectChange) => void) => follow(`${rbacGroup}/clusterroles`, apply);
      stops.push(
        keepAggregatedRoles({ index: rbac, follow: roles, client, clock, logger }),
        keepQuotaStatus({ reader, follow, client, clock, logger }),
        keepDangling({ reader, follow, client, now: () => clock.now(), logger }),
        keepPolicyStatus({ reader, follow, client, logger }),
        keepServiceAddresses({ reader, follow, client, logger, serviceCIDR: options.serviceCIDR }, () =>
          timestamp(clock.now()),
        ),
      );
    },
    close: () => {
      for (const stop of stops) stop();
      void webhooks?.then((caller) => caller.close());
    },
  };
}
