import {
  AuthorizerValue,
  type CelAccess,
  type CelAuthorizer,
  type CelType,
  type KubeObject,
  resourceCheck,
} from '@trimtab/machinery';
import type { Authorizer } from '../../contracts.js';
import { type AdmissionView, type FullAttributes, optionsOf, typedAs } from '../dynamic/view.js';

/** What expressions of webhooks and policies may name, and what stands behind the names (kubernetes: admission/plugin/cel). */

const object = (name: string, fields: Readonly<Record<string, CelType>>): CelType => ({
  kind: 'object',
  name,
  fields: new Map(Object.entries(fields).map(([json, type]) => [json, { json, type }])),
});
const string: CelType = { kind: 'string' };
const bool: CelType = { kind: 'bool' };
const dyn: CelType = { kind: 'dyn' };
const strings: CelType = { kind: 'list', element: string };
const group = (kind: string, last: string): CelType =>
  object(`kubernetes.${kind}`, { group: string, version: string, [last]: string });
const gvk = group('GroupVersionKind', 'kind');
const gvr = group('GroupVersionResource', 'resource');

const requestType = object('kubernetes.AdmissionRequest', {
  kind: gvk,
  resource: gvr,
  subResource: string,
  requestKind: gvk,
  requestResource: gvr,
  requestSubResource: string,
  name: string,
  namespace: string,
  operation: string,
  userInfo: object('kubernetes.UserInfo', {
    username: string,
    uid: string,
    groups: strings,
    extra: { kind: 'map', key: string, value: strings },
  }),
  dryRun: bool,
  options: dyn,
});

const texts: CelType = { kind: 'map', key: string, value: string };
const namespaceType = object('kubernetes.Namespace', {
  metadata: object('kubernetes.NamespaceMetadata', {
    name: string,
    generateName: string,
    namespace: string,
    labels: texts,
    annotations: texts,
    UID: string,
    creationTimestamp: { kind: 'timestamp' },
    deletionGracePeriodSeconds: { kind: 'int' },
    deletionTimestamp: { kind: 'timestamp' },
    generation: { kind: 'int' },
    resourceVersion: string,
    finalizers: strings,
  }),
  spec: object('kubernetes.NamespaceSpec', { finalizers: strings }),
  status: object('kubernetes.NamespaceStatus', { phase: string }),
});

export interface EnvironmentOptions {
  /** What `params` are known to be; there are none where it is absent. */
  readonly params?: CelType;
  readonly namespaceObject?: boolean;
  /** Message types have no authorizer to ask. */
  readonly authorizer?: boolean;
  /** What `object` and `oldObject` are known to be. */
  readonly objectType?: CelType;
  /** What has been declared before. */
  readonly variables?: ReadonlyMap<string, CelType>;
}

export function variablesOf(options: EnvironmentOptions): Record<string, CelType> {
  const { params, namespaceObject = false, authorizer = true, objectType = dyn, variables } = options;
  const composed = variables && { fields: new Map([...variables].map(([json, type]) => [json, { json, type }])) };
  return {
    object: objectType,
    oldObject: objectType,
    request: requestType,
    ...(namespaceObject ? { namespaceObject: namespaceType } : {}),
    ...(params ? { params } : {}),
    ...(authorizer
      ? {
          authorizer: { kind: 'opaque', name: 'kubernetes.authorization.Authorizer' },
          'authorizer.requestResource': { kind: 'opaque', name: 'kubernetes.authorization.ResourceCheck' },
        }
      : {}),
    ...(composed ? { variables: { kind: 'object', name: 'kubernetes.variables', fields: composed.fields } } : {}),
  };
}

/** The values of everything but `params` and `variables`, each made when an expression first looks at it. */
export function bindingsOf(
  attributes: FullAttributes,
  view: AdmissionView,
  authorizer: Authorizer,
  namespaceObject: () => KubeObject | undefined,
): Readonly<Record<string, unknown>> {
  const asks = askerOf(attributes, authorizer);
  const { group: g, resource } = attributes.type;
  const { subresource, namespace, name } = attributes;
  return {
    object: () => (view.object ? typedAs(view.kind, view.object) : null),
    oldObject: () => (view.oldObject ? typedAs(view.kind, view.oldObject) : null),
    request: () => requestOf(attributes, view),
    namespaceObject: () => namespaceObject() ?? null,
    authorizer: () => new AuthorizerValue(asks),
    'authorizer.requestResource': () => resourceCheck(asks, { group: g, resource, subresource, namespace, name }),
  };
}

function requestOf(attributes: FullAttributes, view: AdmissionView): object {
  const { user, type, subresource, name, namespace, dryRun, request } = attributes;
  const kindOf = ({ group: g, version, kind }: { group: string; version: string; kind: string }) => ({
    group: g,
    version,
    kind,
  });
  const resource = { group: type.group, version: type.version, resource: type.resource };
  return {
    kind: kindOf(view.kind),
    resource,
    subResource: subresource,
    requestKind: kindOf(view.whole ? request.kind : view.kind),
    requestResource: resource,
    requestSubResource: subresource,
    name,
    namespace,
    operation: view.operation,
    userInfo: { username: user.name, uid: user.uid ?? '', groups: user.groups, extra: user.extra ?? {} },
    dryRun,
    options: optionsOf(attributes),
  };
}

function askerOf({ user }: FullAttributes, authorizer: Authorizer): CelAuthorizer {
  return {
    check({ verb, serviceAccount, path, resource }: CelAccess) {
      const asker = serviceAccount ? serviceAccountUser(serviceAccount) : user;
      const { allowed, reason } = authorizer.authorize({
        user: asker,
        verb,
        ...(path === undefined
          ? {
              resource: {
                version: '*',
                ...(resource ?? { group: '', resource: '', subresource: '', namespace: '', name: '' }),
              },
            }
          : { path }),
      });
      return { allowed, reason };
    },
  };
}

const serviceAccountUser = ({ namespace, name }: { readonly namespace: string; readonly name: string }) => ({
  name: `system:serviceaccount:${namespace}:${name}`,
  groups: ['system:serviceaccounts', `system:serviceaccounts:${namespace}`, 'system:authenticated'],
});
