import type { Client } from '@trimtab/client';
import { type FlowSchema, FlowSchemas, isReason, type KubeObject, type Logger, timestamp } from '@trimtab/machinery';
import type { Follow } from '../admission/quota-ledger.js';
import type { ObjectReader } from '../contracts.js';
import { flowResources } from './flow-control.js';

export interface DanglingOptions {
  readonly reader: ObjectReader;
  readonly follow: Follow;
  /** Acts as a member of `system:masters`. */
  readonly client: Client;
  readonly now: () => number;
  readonly logger: Logger;
}

/** The schema with the condition `Dangling` that says whether its priority level is there; itself where it has it. Pure. */
export function withDangling(schema: FlowSchema, levelExists: boolean, now: number): FlowSchema {
  const level = schema.spec?.priorityLevelConfiguration.name ?? '';
  const wanted = levelExists
    ? {
        status: 'False',
        reason: 'Found',
        message: `This FlowSchema references the PriorityLevelConfiguration object named "${level}" and it exists`,
      }
    : {
        status: 'True',
        reason: 'NotFound',
        message: `This FlowSchema references the PriorityLevelConfiguration object named "${level}" but there is no such object`,
      };
  const others = (schema.status?.conditions ?? []).filter((c) => c.type !== 'Dangling');
  const old = schema.status?.conditions?.find((c) => c.type === 'Dangling');
  if (old?.status === wanted.status && old.message === wanted.message) return schema;
  const condition = { type: 'Dangling', lastTransitionTime: timestamp(now), ...wanted };
  return { ...schema, status: { ...schema.status, conditions: [...others, condition] } };
}

/** Writes down of every FlowSchema whether its priority level is there. Gives the function that ends it. */
export function keepDangling({ reader, follow, client, now, logger }: DanglingOptions): () => void {
  const [schemas, levels] = flowResources as [string, string];
  const look = (object: KubeObject) => {
    const schema = object as FlowSchema;
    const level = schema.spec?.priorityLevelConfiguration.name ?? '';
    const next = withDangling(schema, reader.get(levels, '', level) !== undefined, now());
    if (next === schema) return;
    client.update(FlowSchemas, next, { subresource: 'status' }).catch((error: unknown) => {
      if (!isReason(error, 'Conflict', 'NotFound'))
        logger.warn(
          { err: error, flowSchema: schema.metadata.name },
          'the status of a FlowSchema could not be written',
        );
    });
  };
  const lookAtAll = () => {
    for (const schema of [...reader.list(schemas)]) look(schema);
  };
  const stops = [
    follow(schemas, ({ object }) => object && look(object)),
    follow(levels, ({ object, previous }) => {
      if (!object || !previous) lookAtAll();
    }),
  ];
  lookAtAll();
  return () => {
    for (const stop of stops) stop();
  };
}
