import type { KubeObject } from '@trimtab/machinery';
import type { ServedKind } from './served-kind.js';

export interface Tracking {
  readonly manager: string;
  readonly now: number;
  readonly subresource: string;
  readonly applied: boolean;
}
export function trackUpdate(
  _kind: ServedKind,
  _old: KubeObject | undefined,
  object: KubeObject,
  _how: Tracking,
): KubeObject {
  return object;
}
export function applyFields(
  _kind: ServedKind,
  _old: KubeObject | undefined,
  wanted: KubeObject,
  _how: { manager: string; force: boolean; now: number; subresource: string },
): KubeObject {
  return wanted;
}
