import type { LiveReader, View } from '@trimtab/framework';
import type { HorizontalPodAutoscaler, KubeObject, ResourceType, Scale } from '@trimtab/machinery';
import { resourceNamed } from './targets.js';

export type ScaleReader = Pick<LiveReader, 'get'>;

/** The scale subresource of what is to be scaled, as the server has it now. */
export type ObservedScale =
  | {
      readonly type: 'found';
      readonly resource: ResourceType;
      readonly scale: Scale;
      /** Replicas asked for, and those there are. */
      readonly wanted: number;
      readonly present: number;
      /** As text; empty where the target's scale has none. */
      readonly selector: string;
    }
  | { readonly type: 'failed'; readonly why: string };

export async function observeScale(
  view: View,
  { metadata, spec }: HorizontalPodAutoscaler,
  client: ScaleReader,
): Promise<ObservedScale> {
  try {
    const { type } = resourceNamed(spec.scaleTargetRef, view);
    const key = { namespace: metadata.namespace, name: spec.scaleTargetRef.name };
    const scale = (await client.get(type as ResourceType<KubeObject>, key, { subresource: 'scale' })) as Scale;
    const { replicas: wanted = 0 } = scale.spec ?? {};
    const { replicas: present = 0, selector = '' } = scale.status ?? {};
    return { type: 'found', resource: type, scale, wanted, present, selector };
  } catch (error) {
    return { type: 'failed', why: error instanceof Error ? error.message : String(error) };
  }
}
