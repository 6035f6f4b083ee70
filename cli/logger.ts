import type { Logger } from '@trimtab/machinery';
import { pino } from 'pino';

/** JSON lines on standard error. */
export function createLogger(level: string): Logger {
  return pino({ level, base: undefined }, pino.destination({ fd: 2, sync: true }));
}
