import {
  changeTo,
  controller,
  type Effect,
  isDeleting,
  post,
  put,
  remove,
  requeueAfter,
  runControllers,
} from '@trimtab/framework';
import { joinKey, type ObjectKey, type Pod, Pods, shareStructure } from '@trimtab/machinery';
import { milliseconds } from '../world/duration.js';
import type { Parts } from '../world/process.js';
import { type KubeletScript, liveOn, type PodLife, type PodScript, type ScriptFor } from './script.js';
import { podStatus } from './status.js';

/**
 * All nodes' kubelets (and, unless told otherwise, their scheduler): binds pods, runs them as scripts say and writes the
 * status a kubelet writes. Nothing runs. Which node and address a pod gets is left to the world's seed.
 */
export class ScriptedKubelet {
  readonly #parts: Parts;
  readonly #script: KubeletScript;
  readonly #lives = new Map<string, PodLife>();
  readonly #addresses = new Map<string, string>();
  readonly #scripts: { readonly name: string; readonly script: PodScript | ScriptFor }[] = [];
  readonly #look: (key: string) => void;

  constructor(parts: Parts, script: KubeletScript) {
    this.#parts = parts;
    this.#script = script;
    const { runners } = runControllers(
      [
        controller<Pod>({
          name: 'kubelet',
          for: Pods,
          reconcile: ({ key, object, now }) => (object ? this.#step(key, object, now) : []),
        }),
      ],
      parts,
    );
    this.#look = (key) => {
      for (const runner of runners) runner.enqueue(key);
    };
  }

  /** From now on, what becomes of the pods of that name, or whose generated name begins with it and a dash. */
  script(name: string, script: PodScript | ScriptFor): void {
    this.#scripts.unshift({ name, script });
    this.#lookAtAll();
  }

  /** Ends a pod's containers now, as they would by themselves. */
  exit(key: ObjectKey, code: number): void {
    const pod = this.#parts.informers.get(Pods).get(key);
    const life = this.#lives.get(pod?.metadata.uid ?? '');
    if (!pod || life?.startedAt === undefined)
      throw new Error(`pod ${joinKey(key)} does not run; exit() ends what runs`);
    this.#lives.set(pod.metadata.uid!, { ...life, exitedAt: this.#parts.clock.now(), exitCode: code });
    this.#look(joinKey(key));
  }

  #lookAtAll(): void {
    for (const { metadata } of this.#parts.informers.get(Pods).list())
      this.#look(joinKey({ namespace: metadata.namespace, name: metadata.name! }));
  }

  #scriptOf(pod: Pod, restarts: number): PodScript {
    const { name = '' } = pod.metadata;
    const own =
      this.#scripts.find((s) => name === s.name || name.startsWith(`${s.name}-`))?.script ?? this.#script.pods;
    return (typeof own === 'function' ? own(pod, restarts) : own) ?? {};
  }

  #step(key: ObjectKey, pod: Pod, now: number): readonly Effect[] {
    const { uid = '' } = pod.metadata;
    const known = this.#lives.get(uid);
    const script = this.#scriptOf(pod, known?.restarts ?? 0);
    if (isDeleting(pod)) return this.#end(pod, script, now);
    if (!pod.spec?.nodeName) {
      const node = script.node ?? pinnedTo(pod) ?? this.#pick();
      const target = { kind: 'Node', name: node };
      return this.#script.binds === false ? [] : [post(Pods, key, 'binding', { metadata: key, target })];
    }
    if (pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed') return [];
    const { life, wakeIn } = liveOn(pod, known ?? { boundAt: now, restarts: 0 }, script, now);
    this.#lives.set(uid, life);
    const at = { now, podIP: this.#address(uid), hostIP: '192.168.0.1' };
    const status = shareStructure(pod.status, podStatus(pod, life, script, at));
    return [
      ...(status === pod.status ? [] : [put(Pods, { ...pod, status } as Pod, 'status')]),
      ...(wakeIn === undefined ? [] : [requeueAfter(wakeIn)]),
    ];
  }

  #end(pod: Pod, { stopAfter = 0 }: PodScript, now: number): readonly Effect[] {
    const grace = (pod.metadata.deletionGracePeriodSeconds ?? 0) * 1000;
    const began = Date.parse(pod.metadata.deletionTimestamp!) - grace;
    const left = began + Math.min(milliseconds(stopAfter), grace) - now;
    if (left > 0 && pod.spec?.nodeName) return [requeueAfter(left)];
    // Who holds a pod back with a finalizer wants to see how it ended.
    const ended = pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed';
    if (pod.metadata.finalizers?.length && !ended)
      return changeTo(Pods, pod, { ...pod, status: { ...pod.status, phase: 'Failed' } }, { subresource: 'status' });
    if (pod.metadata.deletionGracePeriodSeconds === 0 && pod.metadata.finalizers?.length) return [];
    this.#lives.delete(pod.metadata.uid ?? '');
    return [remove(Pods, pod, { gracePeriodSeconds: 0 })];
  }

  #pick(): string {
    const { nodes = ['node-1', 'node-2', 'node-3'] } = this.#script;
    return nodes[Math.floor(this.#parts.random.next() * nodes.length)]!;
  }

  #address(uid: string): string {
    const known = this.#addresses.get(uid);
    if (known) return known;
    const [a, b] = [this.#parts.random.next(), this.#parts.random.next()].map((r) => 1 + Math.floor(r * 253));
    const address = `10.0.${a}.${b}`;
    this.#addresses.set(uid, address);
    return address;
  }
}

/** The node a pod must run on by name, as a DaemonSet's pods say it. */
function pinnedTo(pod: Pod): string | undefined {
  const terms = pod.spec?.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms;
  const fields = terms?.flatMap(({ matchFields = [] }) => matchFields);
  return fields?.find(({ key, operator }) => key === 'metadata.name' && operator === 'In')?.values?.[0];
}
