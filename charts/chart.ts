import * as fs from 'node:fs/promises';
import { join, relative } from 'node:path';
import { Ajv, type ErrorObject } from 'ajv';
import { parseAllDocuments, parse as parseYaml } from 'yaml';
import { TemplateSet } from './template/evaluate.js';
import { functions, mergeMaps } from './template/functions.js';
import { type GoMap, isMap } from './template/go-values.js';
import { parse } from './template/parser.js';

/** A Helm chart (apiVersion v2) read from a directory: what is in it, nothing rendered yet. */
export interface Chart {
  readonly metadata: ChartMetadata;
  readonly values: GoMap;
  /** `values.schema.json`, where there is one. */
  readonly schema?: object;
  /** Path below the chart, with the chart's name before it as Helm has it, to text. */
  readonly templates: Readonly<Record<string, string>>;
}

export interface ChartMetadata {
  readonly apiVersion: string;
  readonly name: string;
  readonly version: string;
  readonly appVersion?: string;
  readonly description?: string;
}

export interface Release {
  readonly name: string;
  readonly namespace: string;
  /** Overrides of the chart's values, merged deeply. */
  readonly values?: GoMap;
  /** What the cluster offers: `v1.33.0`, and api versions such as `apps/v1`. */
  readonly kubeVersion: string;
  readonly apiVersions?: readonly string[];
}

/** One object a chart gives, with the template it came from. */
export interface RenderedObject {
  readonly source: string;
  readonly object: GoMap;
}

/** A chart that cannot be used; the message names file, line or value. */
export class ChartError extends Error {
  override name = 'ChartError';
}

/** Reads `Chart.yaml`, `values.yaml`, `values.schema.json` and everything below `templates/`. */
export async function loadChart(directory: string): Promise<Chart> {
  const text = (file: string): Promise<string | undefined> =>
    fs.readFile(join(directory, file), 'utf8').catch(() => undefined);
  const metadata = yaml<ChartMetadata>('Chart.yaml', await text('Chart.yaml'));
  if (metadata === undefined) throw new ChartError(`${directory} is not a chart: it has no Chart.yaml`);
  for (const field of ['apiVersion', 'name', 'version'] as const)
    if (typeof metadata[field] !== 'string') throw new ChartError(`Chart.yaml: ${field}: required`);
  if ((await fs.readdir(join(directory, 'charts')).catch(() => [])).length > 0)
    throw new ChartError(`${directory}/charts: charts with dependencies cannot be rendered by this version`);
  const schema = await text('values.schema.json');
  const templates: Record<string, string> = {};
  for (const file of await filesBelow(join(directory, 'templates')))
    templates[`${metadata.name}/${relative(directory, file)}`] = await fs.readFile(file, 'utf8');
  return {
    metadata,
    values: yaml<GoMap>('values.yaml', await text('values.yaml')) ?? {},
    ...(schema === undefined ? {} : { schema: JSON.parse(schema) as object }),
    templates,
  };
}

/**
 * Renders all templates and gives the objects in Helm's order of installation. Throws ChartError naming the value when the
 * values do not fit the chart's schema, and TemplateError with file and line when a template fails.
 */
export function renderChart(chart: Chart, release: Release): readonly RenderedObject[] {
  const values = mergeMaps(chart.values, release.values ?? {});
  checkValues(chart, values);
  const set = new TemplateSet(functions);
  for (const [file, text] of Object.entries(chart.templates)) set.add(file, parse(file, text));
  const rendered = Object.keys(chart.templates)
    .filter((file) => /\.ya?ml$/.test(file))
    .sort()
    .flatMap((file) => objectsOf(file, set.execute(file, context(chart, release, values, file))));
  return rendered
    .map((item, index) => ({ item, index }))
    .sort((a, b) => order(a.item) - order(b.item) || a.index - b.index)
    .map(({ item }) => item);
}

/** What templates see as `.` (Helm's built-in objects). */
function context(chart: Chart, release: Release, values: GoMap, file: string): GoMap {
  const { kubeVersion, apiVersions = [] } = release;
  const [, major = '', minor = ''] = /^v(\d+)\.(\d+)/.exec(kubeVersion) ?? [];
  const { name, version, appVersion = '', description = '', apiVersion } = chart.metadata;
  return {
    Values: values,
    Release: {
      Name: release.name,
      Namespace: release.namespace,
      Service: 'Helm',
      Revision: 1n,
      IsInstall: true,
      IsUpgrade: false,
    },
    Chart: { Name: name, Version: version, AppVersion: appVersion, Description: description, APIVersion: apiVersion },
    Capabilities: {
      KubeVersion: { Version: kubeVersion, Major: major, Minor: minor, GitVersion: kubeVersion },
      APIVersions: { Has: (apiVersion: unknown) => apiVersions.includes(String(apiVersion)) },
    },
    Template: { Name: file, BasePath: `${name}/templates` },
  };
}

function checkValues({ schema, metadata }: Chart, values: GoMap): void {
  if (schema === undefined) return;
  const validate = new Ajv({ allErrors: true, strict: false, verbose: true }).compile(schema);
  if (validate(values)) return;
  const problems = validate.errors!.map((error) => `- ${describe(error)}`);
  throw new ChartError(`values do not fit chart ${metadata.name}:\n${problems.join('\n')}`);
}

function describe({ instancePath, message, data, keyword, params }: ErrorObject): string {
  const path = ['.Values', ...instancePath.split('/').slice(1)].join('.').replace(/^\.Values\./, '');
  if (keyword === 'additionalProperties')
    return `${path}.${params.additionalProperty}: unknown value`.replace(/^\.Values\./, '');
  return `${path}: ${message}, not ${JSON.stringify(data)}`;
}

function objectsOf(source: string, text: string): RenderedObject[] {
  return parseAllDocuments(text, { uniqueKeys: true }).flatMap((document) => {
    const [error] = document.errors;
    if (error !== undefined) throw new ChartError(`${source}: the rendered YAML is wrong: ${error.message}`);
    const object = document.toJS() as unknown;
    if (object === null || object === undefined) return [];
    if (!isMap(object) || typeof object.kind !== 'string')
      throw new ChartError(`${source}: a rendered document is not an object with a kind`);
    return [{ source, object }];
  });
}

/** Helm's installation order by kind; kinds it does not know come last. */
const ORDER = [
  'PriorityClass Namespace NetworkPolicy ResourceQuota LimitRange PodSecurityPolicy PodDisruptionBudget ServiceAccount Secret',
  'SecretList ConfigMap StorageClass PersistentVolume PersistentVolumeClaim CustomResourceDefinition ClusterRole ClusterRoleList',
  'ClusterRoleBinding ClusterRoleBindingList Role RoleList RoleBinding RoleBindingList Service DaemonSet Pod',
  'ReplicationController ReplicaSet Deployment HorizontalPodAutoscaler StatefulSet Job CronJob IngressClass Ingress APIService',
]
  .join(' ')
  .split(' ');

function order({ object }: RenderedObject): number {
  const index = ORDER.indexOf(String(object.kind));
  return index < 0 ? ORDER.length : index;
}

function yaml<T>(file: string, text: string | undefined): T | undefined {
  if (text === undefined) return undefined;
  try {
    return parseYaml(text) as T;
  } catch (error) {
    throw new ChartError(`${file}: ${error instanceof Error ? error.message : String(error)}`);
  }
}

async function filesBelow(directory: string): Promise<string[]> {
  const entries = await fs.readdir(directory, { withFileTypes: true, recursive: true }).catch(() => []);
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
}
