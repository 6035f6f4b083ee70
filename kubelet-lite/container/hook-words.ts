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
