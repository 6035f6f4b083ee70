import {
  apiVersionOf,
  badRequest,
  type KubeObject,
  serverSideApply,
  trackUpdate as track,
  type WriteContext,
} from '@trimtab/machinery';
import type { ServedKind } from './served-kind.js';

export interface Writer {
  readonly manager: string;
  readonly now: number;
  readonly subresource: string;
}

/** The object with managed fields that say what this write set; see machinery's `trackUpdate`. */
export function trackUpdate(
  kind: ServedKind,
  old: KubeObject | undefined,
  object: KubeObject,
  writer: Writer,
): KubeObject {
  return track(old, object, contextOf(kind, writer));
}

/** Server-side apply of a configuration; the outcome is not yet defaulted, and carries its managed fields. */
export function applyFields(
  kind: ServedKind,
  old: KubeObject | undefined,
  config: KubeObject,
  writer: Writer & { readonly force: boolean },
): KubeObject {
  return serverSideApply(old, config, { ...contextOf(kind, writer), force: writer.force });
}

/** The configuration of an apply request without what the schema does not know; defaults are not the applier's. */
export function applyConfig(
  kind: ServedKind,
  namespace: string,
  body: unknown,
  unknown: readonly string[],
): KubeObject {
  if (kind.custom) return kind.decode(body, { defaults: false }).value;
  if (unknown.length > 0) {
    const { name = '' } = (body as Partial<KubeObject>).metadata ?? {};
    const fields = unknown.map((u) => `.${/"(.*)"/.exec(u)?.[1] ?? u}: field not declared in schema`);
    const where = namespace ? `${namespace}/${name}` : `/${name}`;
    const { group, version } = kind;
    throw badRequest(
      `failed to create typed patch object (${where}; ${apiVersionOf({ group, version })}, Kind=${kind.kind}): ${fields.join(', ')}`,
    );
  }
  return body as KubeObject;
}

function contextOf(kind: ServedKind, { manager, now, subresource }: Writer): WriteContext {
  return {
    schema: kind.schema,
    manager,
    apiVersion: apiVersionOf(kind),
    now,
    subresource: subresource === 'binding' ? '' : subresource,
    resetFields: resetFields(kind, subresource),
  };
}

// Each made once: what is worked out from them is kept with them.
const none: readonly (readonly string[])[] = [];
const status: typeof none = [['status']];
const spec: typeof none = [['spec']];
const specAndMetadata: typeof none = [['spec'], ['metadata']];

function resetFields(kind: ServedKind, subresource: string): readonly (readonly string[])[] {
  if (subresource === 'status') return kind.custom ? specAndMetadata : spec;
  if (subresource === '' && kind.subresources.status) return status;
  return none;
}
