import type { Client } from '@trimtab/client';
import {
  builtinResources,
  equalJson,
  isReason,
  type KubeObject,
  parseApiVersion,
  type ResourceType,
} from '@trimtab/machinery';
import { uncovered } from '../authorization/escalation.js';
import type { Binding, Role, Subject } from '../authorization/rbac-types.js';
import type { ObjectReader } from '../contracts.js';
import { mandatoryFlowControl, suggestedFlowControl } from '../flowcontrol/bootstrap-objects.js';
import { localStorageClass, systemNamespaces, systemPriorityClasses } from './cluster-objects.js';
import {
  bootstrapClusterRoleBindings,
  bootstrapClusterRoles,
  bootstrapRoleBindings,
  bootstrapRoles,
} from './role-objects.js';

export interface BootstrapOptions {
  /** Acts as a member of `system:masters`. */
  readonly client: Client;
  /** What there is already; reading it costs nothing. */
  readonly reader: ObjectReader;
}

const autoUpdate = 'rbac.authorization.kubernetes.io/autoupdate';

/**
 * Makes what every cluster has: the four system namespaces, bootstrap roles and bindings, system priority classes, mandatory
 * flow control, the default storage class. Existing objects are left alone, but for roles and bindings annotated
 * `autoupdate: "true"`, which get rules and subjects they lack; nothing is taken away. Safe to run at every start and from
 * several servers at once.
 */
export async function bootstrapCluster(options: BootstrapOptions): Promise<void> {
  await ensureAll(options, systemNamespaces);
  await ensureAll(options, [
    ...bootstrapClusterRoles(),
    ...bootstrapClusterRoleBindings(),
    ...bootstrapRoles(),
    ...bootstrapRoleBindings(),
    ...systemPriorityClasses,
    ...mandatoryFlowControl,
    ...suggestedFlowControl,
    localStorageClass,
  ]);
}

async function ensureAll(options: BootstrapOptions, wanted: readonly KubeObject[]): Promise<void> {
  await Promise.all(wanted.map((object) => ensure(options, object)));
}

async function ensure({ client, reader }: BootstrapOptions, wanted: KubeObject): Promise<void> {
  const type = typeOf(wanted);
  const { namespace, name = '' } = wanted.metadata;
  const there = reader.get(`${type.group}/${type.resource}`, namespace ?? '', name);
  if (!there) {
    await client.create(type, wanted).catch((error: unknown) => {
      if (!isReason(error, 'AlreadyExists')) throw error;
    });
    return;
  }
  const mended = reconcile(there, wanted);
  if (!mended) return;
  await client.update(type, mended).catch((error: unknown) => {
    if (!isReason(error, 'Conflict', 'NotFound')) throw error;
  });
}

/** The stored object with what it lacks of the wanted one; undefined when there is nothing to do. */
export function reconcile(there: KubeObject, wanted: KubeObject): KubeObject | undefined {
  if (flowKinds.has(wanted.kind ?? '')) return reconcileSpec(there, wanted);
  if (there.metadata.annotations?.[autoUpdate] !== 'true') return undefined;
  if (wanted.kind === 'ClusterRole' || wanted.kind === 'Role') return reconcileRole(there as Role, wanted as Role);
  if (wanted.kind === 'ClusterRoleBinding' || wanted.kind === 'RoleBinding')
    return reconcileBinding(there as Binding, wanted as Binding);
  return undefined;
}

const flowKinds: ReadonlySet<string> = new Set(['FlowSchema', 'PriorityLevelConfiguration']);
const keepsSpec = 'apf.kubernetes.io/autoupdate-spec';

/** What is mandatory is always put right, what is suggested as long as its annotation says so. */
function reconcileSpec(there: KubeObject, wanted: KubeObject): KubeObject | undefined {
  const mandatory = mandatoryFlowControl.includes(wanted);
  const annotations = there.metadata.annotations ?? {};
  if (!mandatory && annotations[keepsSpec] !== 'true') return undefined;
  const spec = (o: KubeObject) => (o as KubeObject & { readonly spec?: object }).spec;
  const marked = annotations[keepsSpec] === 'true';
  if (marked && containsJson(spec(there), spec(wanted))) return undefined;
  const metadata = { ...there.metadata, annotations: { ...annotations, [keepsSpec]: 'true' } };
  return { ...there, metadata, spec: spec(wanted) } as KubeObject;
}

/** Whether all of `wanted` is in `there`; defaults may have been added. */
function containsJson(there: unknown, wanted: unknown): boolean {
  if (Array.isArray(wanted))
    return Array.isArray(there) && there.length === wanted.length && wanted.every((w, i) => containsJson(there[i], w));
  if (typeof wanted !== 'object' || wanted === null) return there === wanted;
  if (typeof there !== 'object' || there === null) return false;
  return Object.entries(wanted).every(([key, value]) =>
    containsJson((there as Readonly<Record<string, unknown>>)[key] ?? (value === false ? false : undefined), value),
  );
}

function reconcileRole(there: Role, wanted: Role): Role | undefined {
  const labels = { ...there.metadata.labels, ...wanted.metadata.labels };
  const missing = wanted.aggregationRule ? [] : uncovered(there.rules ?? [], wanted.rules ?? []);
  if (missing.length === 0 && equalJson(labels, there.metadata.labels)) return undefined;
  return { ...there, metadata: { ...there.metadata, labels }, rules: [...(there.rules ?? []), ...missing] };
}

function reconcileBinding(there: Binding, wanted: Binding): Binding | undefined {
  const key = ({ kind, namespace, name }: Subject) => `${kind}/${namespace ?? ''}/${name}`;
  const has = new Set((there.subjects ?? []).map(key));
  const missing = (wanted.subjects ?? []).filter((subject) => !has.has(key(subject)));
  return missing.length === 0 ? undefined : { ...there, subjects: [...(there.subjects ?? []), ...missing] };
}

let types: ReadonlyMap<string, ResourceType> | undefined;

function typeOf({ apiVersion = '', kind = '' }: KubeObject): ResourceType {
  types ??= new Map(builtinResources().map(({ type }) => [`${type.group}/${type.version}/${type.kind}`, type]));
  const { group, version } = parseApiVersion(apiVersion);
  const type = types.get(`${group}/${version}/${kind}`);
  if (!type) throw new Error(`the schema table has no ${apiVersion} ${kind}`);
  return type;
}
