import { type GoMap, loadChart, renderChart } from '@trimtab/charts';
import type { Client, Informers } from '@trimtab/client';
import {
  builtinResources,
  type Deployment,
  Deployments,
  type KubeObject,
  type Pod,
  Pods,
  parseApiVersion,
  type ReplicaSet,
  ReplicaSets,
  type ResourceType,
  type Service,
  Services,
} from '@trimtab/machinery';
import { CliError } from '../errors.js';
import type { Output } from './output.js';
import { isRolledOut, rolloutTree, type Workloads } from './rollout-tree.js';
import { watchUntil } from './watch-until.js';

export interface ChartInstallation {
  readonly client: Client;
  readonly informers: Informers;
  readonly output: Output;
  readonly directory: string;
  /** `key.path=value`, as Helm's `--set`. */
  readonly set: readonly string[];
  readonly namespace: string;
  readonly kubeVersion: string;
  readonly colour: boolean;
  readonly signal: AbortSignal;
}

/** What a chart brought, as it is in the cluster, by name. */
export interface Installed {
  readonly services: readonly Service[];
  readonly deployments: readonly Deployment[];
}

/**
 * Renders a chart, applies its objects (server-side, as manager `trimtab`) and waits until every deployment is rolled out.
 * Rejects on the first object that is refused.
 */
export async function installChart(installation: ChartInstallation): Promise<Installed> {
  const { client, output, directory, namespace } = installation;
  const chart = await loadChart(directory);
  const rendered = renderChart(chart, {
    name: chart.metadata.name,
    namespace,
    kubeVersion: installation.kubeVersion,
    values: parseSet(installation.set),
  });
  for (const { source, object } of rendered) {
    const type = typeOf(source, object);
    const { metadata } = object as unknown as KubeObject;
    const key = { ...(type.namespaced ? { namespace: metadata.namespace ?? namespace } : {}), name: metadata.name! };
    const options = { fieldManager: 'trimtab', force: true };
    await client.patch(type, key, { type: 'apply', body: { ...object, metadata: { ...metadata, ...key } } }, options);
    output.event('applied', { kind: type.kind, ...key });
  }
  const names = (kind: string): ReadonlySet<string> =>
    new Set(
      rendered.filter((r) => r.object.kind === kind).map((r) => (r.object as unknown as KubeObject).metadata.name!),
    );
  await rolledOut(installation, names('Deployment'));
  const found = async <T extends KubeObject>(type: ResourceType<T>): Promise<readonly T[]> =>
    (await client.list(type, { namespace })).items.filter(({ metadata }) => names(type.kind).has(metadata.name!));
  return { services: await found(Services), deployments: await found(Deployments) };
}

function typeOf(source: string, object: GoMap): ResourceType {
  const { group, version } = parseApiVersion(String(object.apiVersion));
  const found = builtinResources().find(
    ({ type }) => type.group === group && type.version === version && type.kind === object.kind,
  );
  if (!found) throw new CliError(`${source}: no kind ${object.kind} in ${object.apiVersion}`);
  return found.type;
}

/** Shows the tree of what is still missing, whenever it changes, until nothing is. */
async function rolledOut(installation: ChartInstallation, names: ReadonlySet<string>): Promise<void> {
  const { informers, output, namespace, colour, signal } = installation;
  const [deployments, replicaSets, pods] = [Deployments, ReplicaSets, Pods].map((type) =>
    informers.get<KubeObject>(type),
  );
  const look = (): boolean => {
    const workloads: Workloads = {
      deployments: (deployments!.list(namespace) as Deployment[]).filter(({ metadata }) => names.has(metadata.name!)),
      replicaSets: replicaSets!.list(namespace) as ReplicaSet[],
      pods: pods!.list(namespace) as Pod[],
    };
    output.live(rolloutTree(workloads, colour));
    return workloads.deployments.length === names.size && workloads.deployments.every(isRolledOut);
  };
  await watchUntil([deployments!, replicaSets!, pods!], look, signal);
  output.live(undefined);
}

/** Helm's `--set`: dots make maps, and numbers, booleans and null are what they look like. */
export function parseSet(assignments: readonly string[]): GoMap {
  const values: Record<string, unknown> = {};
  for (const assignment of assignments) {
    const at = assignment.indexOf('=');
    const path = assignment.slice(0, at).split('.');
    let map = values;
    for (const key of path.slice(0, -1)) {
      map[key] = typeof map[key] === 'object' && map[key] !== null ? map[key] : {};
      map = map[key] as Record<string, unknown>;
    }
    map[path.at(-1)!] = scalar(assignment.slice(at + 1));
  }
  return values;
}

function scalar(text: string): unknown {
  if (/^(true|false|null)$/.test(text)) return JSON.parse(text);
  return /^-?(0|[1-9]\d*)(\.\d+)?$/.test(text) ? Number(text) : text;
}
