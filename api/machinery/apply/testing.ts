import type { KubeObject, ManagedFieldsEntry } from '../object.js';
import { widgetSchema } from '../patch/testing.js';
import { StatusError } from '../status.js';
import { type ApplyContext, serverSideApply } from './apply.js';
import { trackUpdate } from './update.js';

/** What the tests of ownership share: widgets, writers, and how to look at who owns what. */

export interface Widget extends KubeObject {
  readonly spec?: Readonly<Record<string, unknown>>;
  readonly status?: Readonly<Record<string, unknown>>;
}

export const at = (second: number): number => Date.UTC(2026, 0, 1, 0, 0, second);

export function widget(spec: object, metadata: object = {}): Widget {
  return { apiVersion: 'test/v1', kind: 'Widget', metadata: { name: 'w', ...metadata }, spec: spec as Widget['spec'] };
}

export const context = (manager: string, more: Partial<ApplyContext> = {}): ApplyContext => ({
  schema: widgetSchema,
  manager,
  apiVersion: 'test/v1',
  now: at(0),
  ...more,
});

export const apply = (
  live: Widget | undefined,
  config: Widget,
  manager: string,
  more: Partial<ApplyContext> = {},
): Widget => serverSideApply(live, config, context(manager, more));
export const update = (
  live: Widget | undefined,
  next: Widget,
  manager: string,
  more: Partial<ApplyContext> = {},
): Widget => trackUpdate(live, next, context(manager, more));

export const entry = (object: KubeObject, manager: string): ManagedFieldsEntry | undefined =>
  object.metadata.managedFields?.find((each) => each.manager === manager);
export const fields = (object: KubeObject, manager: string): unknown => entry(object, manager)?.fieldsV1;
export const managers = (object: KubeObject): string[] =>
  (object.metadata.managedFields ?? []).map(
    (each) => `${each.manager}:${each.operation}${each.subresource ? `/${each.subresource}` : ''}`,
  );

export function conflictOf(run: () => unknown): StatusError {
  try {
    run();
  } catch (error) {
    if (error instanceof StatusError) return error;
    throw error;
  }
  throw new Error('no conflict');
}
