import type { ExitRecord } from '@trimtab/kubelet-lite';
import { humanDuration } from '@trimtab/machinery';

const SHOWN_LINES = 10;
const SHOWN_EXITS = 6;

/** Ends of one container one after another that were alike. */
interface Series {
  readonly first: ExitRecord;
  readonly last: ExitRecord;
  readonly count: number;
}

/** The ends of a pod's containers in words, those alike as one; of the newest of each container also the last it wrote. Pure. */
export function exitLines(exits: readonly ExitRecord[]): readonly string[] {
  if (exits.length === 0) return [];
  const newest = new Map(exits.map((exit) => [exit.container, exit]));
  const all = seriesOf(exits);
  const shown = all.slice(-SHOWN_EXITS);
  const hidden = all.slice(0, -SHOWN_EXITS).reduce((sum, { count }) => sum + count, 0);
  return [
    'What the node remembers:',
    ...(hidden > 0 ? [`  (${hidden} earlier end${hidden === 1 ? '' : 's'} not shown)`] : []),
    ...shown.flatMap(({ first, last, count }) => [
      `  ${last.finishedAt}  ${last.container} (start ${last.attempt + 1}, ran ${ranFor(last)}): ${endText(last)}`,
      ...factLines(last).map((line) => `      ${line}`),
      ...(count > 1
        ? [`      likewise ${count - 1} time${count === 2 ? '' : 's'} before, first at ${first.finishedAt}`]
        : []),
      ...(newest.get(last.container) === last ? logLines(last) : []),
    ]),
  ];
}

/** In the order of their last ends. */
function seriesOf(exits: readonly ExitRecord[]): readonly Series[] {
  const found: Series[] = [];
  for (const exit of exits) {
    const at = found.findLastIndex(({ last }) => last.container === exit.container);
    const before = found[at];
    const same = before && endText(before.last) === endText(exit) && before.last.killedFor === exit.killedFor;
    if (same) found.splice(at, 1);
    found.push(same ? { ...before, last: exit, count: before.count + 1 } : { first: exit, last: exit, count: 1 });
  }
  return found;
}

/** How a container ended, in a few words. */
export function endText({ reason, exitCode, signal, oomKills = [] }: ExitRecord): string {
  if (reason === 'OOMKilled') {
    const whose = oomKills.at(-1)?.limitOf;
    if (whose === 'node') return 'the machine had no memory left, and the kernel chose it';
    return `killed for using more memory than ${whose === 'pod' ? "its pod's" : 'its'} limit`;
  }
  if (signal) return `ended by ${signal} (code ${exitCode})`;
  return `exited with code ${exitCode}`;
}

function factLines(exit: ExitRecord): readonly string[] {
  const { memoryPeak, memoryLimit, oomKills = [], killedFor, probes } = exit;
  return [
    ...oomKills.map(({ pid, command, bytes }) => {
      const held = bytes === undefined ? '' : `, which held ${bytesText(bytes)}`;
      return `the kernel killed process ${pid} (${command})${held}`;
    }),
    ...(memoryPeak === undefined
      ? []
      : [
          `memory: at most ${bytesText(memoryPeak)}${memoryLimit === undefined ? ', no limit' : ` of ${bytesText(memoryLimit)}`}`,
        ]),
    ...(killedFor ? [`the kubelet ended it: ${killedFor}`] : []),
    ...(killedFor && exit.signal === 'SIGKILL' && exit.reason !== 'OOMKilled'
      ? ['it did not end by itself in its time of grace: it does not heed its stop signal']
      : []),
    ...probes.map(
      ({ kind, result, output, at }) =>
        `${kind.toLowerCase()} probe answered last at ${at}: ${result}${output ? ` (${oneLine(output)})` : ''}`,
    ),
  ];
}

function logLines({ log }: ExitRecord): readonly string[] {
  if (log.length === 0) return ['      it wrote nothing'];
  const shown = log.slice(-SHOWN_LINES);
  const more = log.length > shown.length ? ` (of ${log.length} that are kept)` : '';
  return [`      its last lines${more}:`, ...shown.map((line) => `        | ${line}`)];
}

const ranFor = ({ startedAt, finishedAt }: ExitRecord): string =>
  humanDuration(Math.max(Date.parse(finishedAt) - Date.parse(startedAt), 0));

export const oneLine = (text: string): string => text.trim().replace(/\s*\n\s*/g, ' ');

export function bytesText(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  const power = bytes < 1 ? 0 : Math.min(Math.floor(Math.log2(bytes) / 10), units.length - 1);
  const value = bytes / 1024 ** power;
  return `${value >= 100 || power === 0 ? Math.round(value) : Number(value.toFixed(1))} ${units[power]}`;
}
