import type { Node, Pod, Taint } from '@trimtab/machinery';
import { Picture, type Surroundings } from './picture.js';
import { podInfo } from './pod-info.js';
import { defaultProfile, type Profile } from './profile.js';
import { schedule } from './schedule.js';

/** For tests: pods, nodes and pictures of them in a line each. */
export type PodSpec = NonNullable<Pod['spec']>;

export interface NodeOptions {
  readonly spec?: Node['spec'];
  readonly labels?: Record<string, string>;
  readonly cpu?: string;
  readonly images?: NonNullable<Node['status']>['images'];
}

export const node = (name: string, { spec, labels, cpu = '2', images }: NodeOptions = {}): Node => ({
  metadata: { name, labels: { 'kubernetes.io/hostname': name, ...labels } },
  spec,
  status: { allocatable: { cpu, memory: '4Gi', pods: '3' }, images },
});

export interface PodOptions {
  readonly cpu?: string;
  readonly name?: string;
  readonly namespace?: string;
  readonly labels?: Record<string, string>;
  readonly priority?: number;
}

let serial = 0;

export const pod = (
  spec: Partial<PodSpec> = {},
  { cpu, name = `p${serial++}`, namespace = 'ns', labels, priority }: PodOptions = {},
): Pod => ({
  metadata: { name, namespace, uid: name, labels },
  spec: {
    containers: [{ name: 'c', image: 'i', ...(cpu ? { resources: { requests: { cpu } } } : {}) }],
    ...(priority === undefined ? {} : { priority }),
    ...spec,
  },
});

export const taint = (key: string, effect = 'NoSchedule', value?: string): Taint => ({ key, effect, value });

export type Placed = readonly [Node, ...Pod[]];

export function picture(placed: readonly Placed[], surroundings: Partial<Surroundings> = {}): Picture {
  const result = new Picture({ namespaceLabels: () => undefined, defaultSelector: () => undefined, ...surroundings });
  for (const [where, ...pods] of placed) {
    result.setNode(where);
    for (const each of pods) result.place(each, where.metadata.name!);
  }
  return result;
}

/** The chosen node's name, or the message of the failure. */
export function placeIn(where: Picture, which: Pod, chance = 0, profile: Profile = defaultProfile): string {
  const decision = schedule(podInfo(which), where, profile, { chance });
  return 'node' in decision ? decision.node : decision.failure.message;
}

export const place = (which: Pod, ...placed: readonly Placed[]): string => placeIn(picture(placed), which);
