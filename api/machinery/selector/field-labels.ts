import { evaluateJsonPath, parseJsonPath } from '../fields/jsonpath.js';

/**
 * Which fields each resource can be selected by, and how to read them (kubernetes: conversion functions of the API groups).
 * Absent fields read as their zero value's text, as Go's structs do.
 */

export type FieldExtractor = (object: object) => string;
export type FieldLabels = ReadonlyMap<string, FieldExtractor>;

function read(object: object, path: readonly string[]): unknown {
  let value: unknown = object;
  for (const step of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, step)) return undefined;
    value = (value as Record<string, unknown>)[step];
  }
  return value;
}

/** Reads the first of several paths that is present and not empty. */
function field(zero: string, ...paths: readonly string[]): FieldExtractor {
  const split = paths.map((path) => path.split('.'));
  return (object) => {
    for (const path of split) {
      const value = read(object, path);
      if (value !== undefined && value !== null && value !== '') return String(value);
    }
    return zero;
  };
}

const text = (...names: readonly string[]): [string, FieldExtractor][] => names.map((name) => [name, field('', name)]);
const flag = (name: string): [string, FieldExtractor] => [name, field('false', name)];
const count = (name: string): [string, FieldExtractor] => [name, field('0', name)];

const involved = (label: string): [string, FieldExtractor][] =>
  ['kind', 'namespace', 'name', 'uid', 'apiVersion', 'resourceVersion', 'fieldPath'].map((part) => [
    `${label}.${part}`,
    field('', `involvedObject.${part}`, `regarding.${part}`),
  ]);

const component = field('', 'reportingComponent', 'reportingController');

const own: Readonly<Record<string, readonly (readonly [string, FieldExtractor])[]>> = {
  '/pods': [
    ...text('spec.nodeName', 'spec.restartPolicy', 'spec.schedulerName', 'spec.serviceAccountName', 'status.phase'),
    flag('spec.hostNetwork'),
    ['status.podIP', field('', 'status.podIP')],
    ['status.podIPs', field('', 'status.podIP')],
    ...text('status.nominatedNodeName'),
  ],
  '/nodes': [flag('spec.unschedulable')],
  '/replicationcontrollers': [count('status.replicas')],
  '/namespaces': text('status.phase'),
  '/secrets': text('type'),
  '/services': text('spec.clusterIP', 'spec.type'),
  '/events': [
    ...involved('involvedObject'),
    ...text('reason', 'type'),
    ['reportingComponent', component],
    [
      'source',
      field('', 'source.component', 'deprecatedSource.component', 'reportingComponent', 'reportingController'),
    ],
  ],
  'events.k8s.io/events': [...involved('regarding'), ...text('reason', 'type'), ['reportingController', component]],
  'apps/replicasets': [count('status.replicas')],
  'batch/jobs': [['status.successful', field('0', 'status.succeeded')]],
  'certificates.k8s.io/certificatesigningrequests': text('spec.signerName'),
  'certificates.k8s.io/clustertrustbundles': text('spec.signerName'),
  'certificates.k8s.io/podcertificaterequests': text('spec.signerName', 'spec.podName', 'spec.nodeName'),
  'resource.k8s.io/resourceslices': text('spec.nodeName', 'spec.driver'),
};

const common: readonly (readonly [string, FieldExtractor])[] = text('metadata.name', 'metadata.namespace');
const cache = new Map<string, FieldLabels>();

/** The field labels of a built-in resource; every resource has `metadata.name` and `metadata.namespace`. */
export function fieldLabels(group: string, resource: string): FieldLabels {
  const id = `${group}/${resource}`;
  const specific = Object.hasOwn(own, id) ? own[id] : undefined;
  const key = specific ? id : '';
  let labels = cache.get(key);
  if (!labels) {
    labels = new Map([...common, ...(specific ?? [])]);
    cache.set(key, labels);
  }
  return labels;
}

/** The field labels of a custom resource, from the `selectableFields` of its version (`[{jsonPath: '.spec.color'}]`). */
export function customFieldLabels(selectableFields: readonly { readonly jsonPath: string }[] | undefined): FieldLabels {
  const labels = new Map(common);
  for (const { jsonPath } of selectableFields ?? []) {
    const path = parseJsonPath(jsonPath);
    labels.set(jsonPath.replace(/^\./, ''), (object) => {
      const [value] = evaluateJsonPath(path, object);
      return value === undefined || value === null || typeof value === 'object' ? '' : String(value);
    });
  }
  return labels;
}
