import type { FaultKind } from './plan.js';

/** What happens to the controllers' process, for those who read a report for the first time. */
export const FAULT_WORDS: Readonly<Record<FaultKind, string>> = {
  'crash-before': 'its process dies before it sends that write, and is started again',
  'crash-after': 'its process dies when that write is done, before the answer comes, and is started again',
  conflict: 'that write is refused: somebody else was quicker',
  refused: 'that write is refused: the server is not there',
  lost: 'that write is done, and its answer is lost',
  twice: 'that write reaches the server twice',
  behind: 'its process dies when that write is done, and starts again from a view that does not show it yet',
  rewind: 'its process dies when that write is done, and starts again from a view from before its last deletion',
  replica: 'another replica starts at that write, and both run for ten seconds',
  'stale-leader': 'it is held up in that write while another replica takes over, and goes on not knowing',
  'server-restart': 'the server goes away for three seconds at that write, with all watches',
  jump: 'its clock jumps ten minutes ahead at that write',
  lag: 'from that event on it hears nothing for five seconds, and then everything in order',
  reorder: 'for five seconds it hears nothing of that kind, and of others first',
  unobserved: 'five seconds of that kind it never hears of, but for the relist afterwards',
  duplicate: 'that event is told twice',
  gone: 'instead of that event comes 410, and a relist',
  'gone-relist': 'instead of that event comes 410, and another one in the middle of the relist',
  slow: 'every answer takes 1.1 s',
};
