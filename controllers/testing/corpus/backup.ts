import {
  changeStatus,
  controller,
  controllerReference,
  create,
  type Effect,
  isDeleting,
  remove,
  requeueAfter,
  type View,
} from '@trimtab/framework';
import { type KubeObject, type Pod, Pods, timestamp } from '@trimtab/machinery';
import { crash, hang, succeed } from '../kubelet/script.js';
import type { World } from '../world/world.js';
import { kindOf, must, mutantsOf, type Subject } from './mutant.js';

interface Progress {
  readonly phase: 'Running' | 'Succeeded' | 'Failed';
  readonly attempt: number;
  readonly since: string;
}
export interface Backup extends KubeObject {
  readonly spec: { readonly attempts: number };
  readonly status?: Progress;
}
export const Backups = kindOf<Backup>('Backup');

const PATIENCE = 600_000;

interface Parts {
  begin(view: View<Backup>, backup: Backup): Progress;
  attempt(view: View<Backup>, progress: Progress): number;
  since(view: View<Backup>, progress: Progress): number;
  podName(backup: Backup, attempt: number, view: View<Backup>): string;
  /** What the attempt's pod says of it. */
  verdict(pod: Pod | undefined, late: boolean): 'runs' | 'succeeded' | 'failed' | 'absent';
  wait(ms: number): readonly Effect[];
  isOver(progress: Progress): boolean;
  /** What is done about one that is. */
  over(): readonly Effect[];
  /** Starting an attempt: its pod, and its being noted. */
  start(note: readonly Effect[], pod: readonly Effect[]): readonly Effect[];
}

const right: Parts = {
  begin: ({ now }) => ({ phase: 'Running', attempt: 1, since: timestamp(now) }),
  attempt: (_, { attempt }) => attempt,
  since: (_, { since }) => Date.parse(since),
  podName: ({ metadata }, attempt) => `${metadata.name}-${attempt}`,
  verdict(pod, late) {
    if (pod?.status?.phase === 'Succeeded') return 'succeeded';
    if (late || pod?.status?.phase === 'Failed') return 'failed';
    return pod ? 'runs' : 'absent';
  },
  wait: (ms) => [requeueAfter(ms)],
  isOver: ({ phase }) => phase !== 'Running',
  over: () => [],
  start: (note, pod) => [...note, ...pod],
};

const key = (name: string) => ({ namespace: 'ns', name });
const backup = (name: string): Backup => ({ metadata: key(name), spec: { attempts: 2 } });
const statusOf = async (w: World, name: string) => (await w.get(Backups, key(name))).status;

async function workload(w: World): Promise<void> {
  w.kubelet.script('good', succeed('20s'));
  w.kubelet.script('flaky-1', crash('5s'));
  w.kubelet.script('flaky-2', succeed('5s'));
  w.kubelet.script('bad', crash('5s'));
  w.kubelet.script('stuck-1', hang());
  w.kubelet.script('stuck-2', succeed('5s'));
  w.kubelet.script('lost-1', hang());
  await w.create(Backups, backup('good'), backup('flaky'), backup('bad'), backup('stuck'), backup('lost'));
  await w.pass('2m');
  await w.remove(Pods, key('good-1'));
  await w.remove(Pods, key('lost-1'));
  w.kubelet.script('lost-1', succeed('5s'));
  await w.pass('30s');
  must((await w.find(Pods, key('good-1'))) === undefined, 'a backup that has succeeded is made again');
  const over = async () => (await statusOf(w, 'stuck'))?.phase === 'Succeeded';
  await w.until(over, { within: '11m', what: 'the stuck backup succeeds in time' });
  await w.settle();
}

async function finally_(w: World): Promise<void> {
  const expected: Readonly<Record<string, readonly [Progress['phase'], number]>> = {
    good: ['Succeeded', 1],
    flaky: ['Succeeded', 2],
    bad: ['Failed', 2],
    stuck: ['Succeeded', 2],
    lost: ['Succeeded', 1],
  };
  for (const [name, [phase, attempt]] of Object.entries(expected)) {
    const status = await statusOf(w, name);
    must(status?.phase === phase, `${name} is ${status?.phase}, wanted ${phase}`);
    must(status?.attempt === attempt, `${name} took ${status?.attempt} attempts, wanted ${attempt}`);
  }
}

/** A pod that must succeed within ten minutes, tried a number of times. */
export const backupSubject: Subject<Parts> = {
  name: 'backup',
  make: (wrong) => () => {
    const parts = { ...right, ...wrong?.() };
    return controller<Backup>({
      name: 'backup',
      for: Backups,
      owns: [Pods],
      reconcile(view) {
        const { object, now } = view;
        if (!object) return [];
        const note = (status: Progress) =>
          changeStatus(Backups, object, (draft) => {
            draft.status = status;
          });
        const podOf = (attempt: number) =>
          create(Pods, {
            metadata: {
              ...key(parts.podName(object, attempt, view)),
              ownerReferences: [controllerReference(Backups, object)],
            },
            spec: { restartPolicy: 'Never', containers: [{ name: 'c', image: 'i' }] },
          });
        const progress = object.status;
        if (!progress) {
          const first = parts.begin(view, object);
          return parts.start(note(first), [podOf(first.attempt)]);
        }
        if (parts.isOver(progress)) return parts.over();
        const attempt = parts.attempt(view, progress);
        const left = parts.since(view, progress) + PATIENCE - now;
        const name = parts.podName(object, attempt, view);
        const pod = view.owned(Pods).find(({ metadata }) => metadata.name === name);
        const verdict = parts.verdict(pod, left <= 0);
        if (verdict === 'succeeded') return note({ ...progress, attempt, phase: 'Succeeded' });
        if (verdict === 'runs') return parts.wait(left);
        if (verdict === 'absent') return [podOf(attempt), ...parts.wait(left)];
        const gone = pod && !isDeleting(pod) && pod.status?.phase !== 'Failed' ? [remove(Pods, pod)] : [];
        if (attempt >= object.spec.attempts) return [...gone, ...note({ ...progress, attempt, phase: 'Failed' })];
        return [
          ...gone,
          ...parts.start(note({ phase: 'Running', attempt: attempt + 1, since: timestamp(now) }), [podOf(attempt + 1)]),
        ];
      },
    });
  },
  scenario: (source) => ({
    world: { kinds: [Backups], kubelet: true, controllers: [source] },
    workload,
    mostWrites: 100,
    finally: finally_,
    // A clock that jumps may spend the patience of an attempt: that is what patience means.
    without: ['jump'],
  }),
};

export const backupMutants = mutantsOf(backupSubject, {
  'keeps the deadline in memory': [
    'memory',
    () => {
      const seen = new Map<string, number>();
      return {
        since: ({ object, now }, { attempt }) => {
          const id = `${object!.metadata.uid} ${attempt}`;
          if (!seen.has(id)) seen.set(id, now);
          return seen.get(id)!;
        },
      };
    },
  ],
  'counts attempts in memory': [
    'memory',
    () => {
      const seen = new Map<string, { readonly noted: number; readonly counted: number }>();
      return {
        attempt: ({ object }, { attempt: noted }) => {
          const last = seen.get(object!.metadata.uid!);
          const counted = last ? last.counted + (noted > last.noted ? 1 : 0) : 1;
          seen.set(object!.metadata.uid!, { noted, counted });
          return counted;
        },
      };
    },
  ],
  'begins anew when the pod of a success is gone': [
    'unobserved-state',
    () => ({ isOver: ({ phase }) => phase === 'Failed' }),
  ],
  'looks every second, for ever': [
    'hot-loop',
    () => ({ wait: () => [requeueAfter(1_000)], over: () => [requeueAfter(1_000)] }),
  ],
  'arms no deadline': ['unobserved-state', () => ({ wait: () => [] })],
  'ignores the deadline': ['misoperation', () => ({ verdict: (pod) => right.verdict(pod, false) })],
  'takes a pod that is gone for a success': [
    'unobserved-state',
    () => ({ verdict: (pod, late) => (pod || late ? right.verdict(pod, late) : 'succeeded') }),
  ],
  'takes a pod that is gone for a failure': [
    'unobserved-state',
    () => ({ verdict: (pod, late) => (pod ? right.verdict(pod, late) : 'failed') }),
  ],
  'names the pod by the time': [
    'intermediate-state',
    () => ({ podName: ({ metadata }, attempt, { now }) => `${metadata.name}-${attempt}-${now}` }),
  ],
  'starts before it has noted it': ['intermediate-state', () => ({ start: (note, pod) => [...pod, ...note] })],
  'counts refusals of the server as attempts': [
    'error-handling',
    () => ({ attempt: (view, { attempt }) => attempt + view.attempt }),
  ],
  'tries one time too many': [
    'misoperation',
    () => ({ begin: ({ now }) => ({ phase: 'Running', attempt: 0, since: timestamp(now) }) }),
  ],
});
