import type { NodeStreamsLookup } from '@trimtab/client';
import { customFieldLabels, type KubeObject, type Schema } from '@trimtab/machinery';
import { NEVER } from 'rxjs';
import type { KindSource, LiveObjects, ServedKind } from '../registry/served-kind.js';
import { liveMetrics } from './live-metrics.js';

const group = 'metrics.k8s.io';
const version = 'v1beta1';

const text: Schema = { type: 'string' };
const time: Schema = { type: 'string', format: 'date-time' };
const amounts: Schema = { type: 'object', values: { type: 'quantity' } };
const named = (properties: Readonly<Record<string, Schema>>): Schema => ({
  type: 'object',
  properties: {
    apiVersion: text,
    kind: text,
    metadata: { type: 'object', preserveUnknown: true },
    timestamp: time,
    window: text,
    ...properties,
  },
});

/**
 * `metrics.k8s.io/v1beta1`, behind `kubectl top` and autoscalers: what nodes and pods use, asked of their nodes at each read.
 * An APIService that gives the group to another server (metrics-server) takes precedence.
 */
export function metricsKinds(nodes: NodeStreamsLookup): KindSource {
  const live = liveMetrics(nodes);
  const container: Schema = { type: 'object', properties: { name: text, usage: amounts } };
  const kinds = [
    kind('NodeMetrics', 'nodes', false, named({ usage: amounts }), live.nodes, [
      { name: 'CPU', type: 'string', jsonPath: '.usage.cpu' },
      { name: 'Memory', type: 'string', jsonPath: '.usage.memory' },
      { name: 'Window', type: 'string', jsonPath: '.window' },
    ]),
    kind('PodMetrics', 'pods', true, named({ containers: { type: 'array', items: container } }), live.pods, [
      { name: 'CPU', type: 'string', jsonPath: '.containers[0].usage.cpu' },
      { name: 'Memory', type: 'string', jsonPath: '.containers[0].usage.memory' },
      { name: 'Window', type: 'string', jsonPath: '.window' },
    ]),
  ];
  return { kinds: () => kinds, changes: NEVER };
}

function kind(
  name: string,
  resource: string,
  namespaced: boolean,
  schema: Schema,
  live: LiveObjects,
  printerColumns: NonNullable<ServedKind['printerColumns']>,
): ServedKind {
  const same = (object: KubeObject): KubeObject => object;
  return {
    group,
    version,
    kind: name,
    resource,
    namespaced,
    singular: resource.slice(0, -1),
    shortNames: [],
    categories: [],
    listKind: `${name}List`,
    verbs: ['get', 'list'],
    schema,
    decode: (value) => ({ value: value as KubeObject, unknown: [], errors: [] }),
    storage: {
      resource: `${group}/${resource}`,
      apiVersion: `${group}/${version}`,
      kind: name,
      fromStorage: same,
      toStorage: same,
    },
    strategy: {},
    subresources: {},
    fieldLabels: customFieldLabels(undefined),
    custom: true,
    generation: false,
    printerColumns,
    live,
  };
}
