import type { LifecycleHandler } from '@trimtab/machinery';
import { formatPod, type Pod } from '../pod/api.js';
import type { Say } from './image-puller.js';

/**
 * The events of a hook that failed. What the hook said may hold secrets: it is for the status, which fewer can read. A container
 * whose postStart hook fails is killed for it.
 */
export function hookFailedWords(which: 'postStart' | 'preStop'): readonly Parameters<Say>[] {
  if (which === 'preStop') return [['Warning', 'FailedPreStopHook', 'PreStopHook failed']];
  return [
    ['Warning', 'FailedPostStartHook', 'PostStartHook failed'],
    ['Normal', 'Killing', 'FailedPostStartHook'],
  ];
}

/** What the status says of it, in the kubelet's words. */
export function hookFailedMessage(handler: LifecycleHandler, container: string, pod: Pod, output: string): string {
  const whose = `for Container "${container}" in Pod "${formatPod(pod)}" failed`;
  const { exec, httpGet, sleep } = handler;
  if (exec) return `Exec lifecycle hook ([${exec.command?.join(' ')}]) ${whose} - message: ${JSON.stringify(output)}`;
  if (httpGet) return `HTTP lifecycle hook (${httpGet.path ?? '/'}) ${whose} - error: ${output}`;
  return `Sleep lifecycle hook (${sleep?.seconds ?? 0}) ${whose} - error: ${output}`;
}
