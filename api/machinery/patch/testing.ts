import type { Schema } from '../schema/schema.js';

/** A small workload-shaped schema with every kind of list and map that patches and apply treat differently. */

const text: Schema = { type: 'string' };
const port: Schema = {
  type: 'object',
  properties: { name: text, port: { type: 'integer' }, protocol: { type: 'string', default: 'TCP' } },
};
const container: Schema = {
  type: 'object',
  name: 'test.Container',
  required: ['name'],
  properties: {
    name: text,
    image: text,
    args: { type: 'array', items: text, listType: 'atomic' },
    env: {
      type: 'array',
      items: { type: 'object', properties: { name: text, value: text } },
      listType: 'map',
      listMapKeys: ['name'],
      patchStrategy: ['merge'],
      patchMergeKey: 'name',
    },
    ports: {
      type: 'array',
      items: port,
      listType: 'map',
      listMapKeys: ['port', 'protocol'],
      patchStrategy: ['merge'],
      patchMergeKey: 'port',
    },
  },
};

export const widgetSchema: Schema = {
  type: 'object',
  name: 'test.Widget',
  properties: {
    apiVersion: text,
    kind: text,
    metadata: {
      type: 'object',
      properties: {
        name: text,
        namespace: text,
        uid: text,
        resourceVersion: text,
        generation: { type: 'integer' },
        creationTimestamp: text,
        labels: { type: 'object', values: text },
        annotations: { type: 'object', values: text },
        finalizers: { type: 'array', items: text, listType: 'set', patchStrategy: ['merge'] },
        managedFields: { type: 'array', items: { type: 'object' }, listType: 'atomic' },
        ownerReferences: {
          type: 'array',
          items: { type: 'object', properties: { uid: text, name: text }, mapType: 'atomic' },
          listType: 'map',
          listMapKeys: ['uid'],
          patchStrategy: ['merge'],
          patchMergeKey: 'uid',
        },
      },
    },
    spec: {
      type: 'object',
      properties: {
        replicas: { type: 'integer' },
        paused: { type: 'boolean' },
        selector: { type: 'object', mapType: 'atomic', properties: { matchLabels: { type: 'object', values: text } } },
        strategy: {
          type: 'object',
          patchStrategy: ['retainKeys'],
          properties: { type: text, rolling: { type: 'object', properties: { surge: { type: 'int-or-string' } } } },
        },
        containers: {
          type: 'array',
          items: container,
          listType: 'map',
          listMapKeys: ['name'],
          patchStrategy: ['merge'],
          patchMergeKey: 'name',
        },
        volumes: {
          type: 'array',
          items: {
            type: 'object',
            properties: {
              name: text,
              empty: { type: 'object', properties: { medium: text } },
              path: { type: 'object', properties: { path: text } },
            },
          },
          listType: 'map',
          listMapKeys: ['name'],
          patchStrategy: ['merge', 'retainKeys'],
          patchMergeKey: 'name',
        },
        tolerations: { type: 'array', items: { type: 'object', properties: { key: text } }, listType: 'atomic' },
        cidrs: { type: 'array', items: text, listType: 'set', patchStrategy: ['merge'] },
        free: { type: 'any' },
      },
    },
    status: {
      type: 'object',
      properties: {
        ready: { type: 'integer' },
        conditions: {
          type: 'array',
          items: { type: 'object', properties: { type: text, status: text } },
          listType: 'map',
          listMapKeys: ['type'],
          patchStrategy: ['merge'],
          patchMergeKey: 'type',
        },
      },
    },
  },
};

/** The schema of one container of {@link widgetSchema}. */
export const containerSchema: Schema = container;
