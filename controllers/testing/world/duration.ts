import { remembering } from '@trimtab/machinery';

/** Milliseconds, or a text as Kubernetes writes durations: `250ms`, `1m30s`, `24h`. */
export type Duration = number | string;

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Milliseconds of a duration. Throws for a text that is none. */
export const milliseconds = (duration: Duration): number =>
  typeof duration === 'number' ? duration : millisecondsOf(duration);

const millisecondsOf = remembering((duration: string): number => {
  let total = 0;
  const rest = duration.replace(/(\d+(?:\.\d+)?)(ms|s|m|h|d)/g, (_, count: string, unit: string) => {
    total += Number(count) * UNITS[unit]!;
    return '';
  });
  if (rest !== '' || duration === '') throw new Error(`"${duration}" is no duration; write 250ms, 30s, 1m30s, 24h`);
  return total;
});

/** `0:00:01.250` since `start`, for timelines. */
export function elapsed(at: number, start: number): string {
  const ms = at - start;
  const two = (n: number) => String(Math.floor(n)).padStart(2, '0');
  const text = `${Math.floor(ms / 3_600_000)}:${two((ms / 60_000) % 60)}:${two((ms / 1_000) % 60)}`;
  return `${text}.${String(ms % 1000).padStart(3, '0')}`;
}
