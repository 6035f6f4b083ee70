import type { Patch, PatchOptions } from '@trimtab/client';
import {
  applyJsonPatch,
  applyMergePatch,
  applyStrategicMergePatch,
  type Decoded,
  type KubeObject,
  parseJsonPatch,
  unsupportedMediaType,
} from '@trimtab/machinery';
import type { Registry, RequestContext, Target } from './context.js';
import { acceptPatched, type FieldValidation } from './decoding.js';
import { applyConfig, applyFields } from './ownership.js';
import type { ServedKind } from './served-kind.js';
import { type UpdateResult, updateObject } from './update.js';

export interface PatchRequest extends PatchOptions {
  readonly fieldValidation?: FieldValidation;
  /** Complaints about fields that the patch's text names twice. */
  readonly duplicates?: readonly string[];
}

/**
 * Applies a patch to the newest state and stores the outcome, again and again until nobody was faster; only a
 * resourceVersion inside the patch makes being slower an error. Apply patches create what is missing.
 */
export async function patchObject(
  registry: Registry,
  context: RequestContext,
  target: Target,
  patch: Patch,
  options: PatchRequest = {},
): Promise<UpdateResult> {
  const { kind, name, subresource } = target;
  const validation = options.fieldValidation ?? 'Warn';
  const applied = patch.type === 'apply';
  const { duplicates = [] } = options;
  const accept = (decoded: Decoded<KubeObject>, how = validation) =>
    acceptPatched(kind, name, { ...decoded, unknown: [...duplicates, ...decoded.unknown] }, patch.body, how, context);
  const compute = (old: KubeObject | undefined) => {
    if (patch.type === 'apply') {
      const checked = kind.decode(patch.body);
      accept(checked);
      const config = applyConfig(kind, target.namespace, patch.body, checked.unknown);
      const merged = applyFields(kind, old, named(config, target), {
        manager: options.fieldManager ?? '',
        force: options.force ?? false,
        now: registry.clock.now(),
        subresource,
      });
      if (merged === old) return old;
      return accept(kind.decode(merged, { known: old }), 'Ignore');
    }
    const patched = applyPatch(kind, old!, patch);
    return accept(kind.decode(patched, { known: old }));
  };
  return updateObject(registry, context, target, compute, { ...options, applied, createMissing: applied });
}

function applyPatch(kind: ServedKind, old: KubeObject, patch: Exclude<Patch, { type: 'apply' }>): KubeObject {
  switch (patch.type) {
    case 'json':
      return applyJsonPatch(old, parseJsonPatch(patch.body));
    case 'merge':
      return applyMergePatch(old, patch.body);
    case 'strategic':
      if (kind.custom)
        throw unsupportedMediaType(
          'the body of the request was in an unknown format - accepted media types include: application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml',
        );
      return applyStrategicMergePatch(old, patch.body, kind.schema);
  }
}

/** The name may be left to the path. */
function named(config: KubeObject, { name }: Target): KubeObject {
  return config.metadata?.name ? config : { ...config, metadata: { ...config.metadata, name } };
}
