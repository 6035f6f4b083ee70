import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** What processes use, as the kernel counts it. */

/** Resident memory in MB (2^20 bytes): `pss` shares common pages among their users, `rss` counts them in full. */
export function memory(pid) {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
  const kilobytes = (name) => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(text)?.[1] ?? 0);
  return { pss: kilobytes('Pss') / 1024, rss: kilobytes('Rss') / 1024, anonymous: kilobytes('Pss_Anon') / 1024 };
}

/** Milliseconds each thread has been on a processor, by thread id. */
export function cpu(pid) {
  const threads = new Map();
  for (const tid of readdirSync(`/proc/${pid}/task`)) {
    try {
      const nanos = Number(readFileSync(`/proc/${pid}/task/${tid}/schedstat`, 'utf8').split(' ')[0]);
      threads.set(tid, { name: readFileSync(`/proc/${pid}/task/${tid}/comm`, 'utf8').trim(), ms: nanos / 1e6 });
    } catch {
      // The thread ended between the two readings.
    }
  }
  return threads;
}

/** What was used between two readings of {@link cpu}, by thread name. */
export function used(before, after) {
  const names = {};
  for (const [tid, { name, ms }] of after) names[name] = (names[name] ?? 0) + ms - (before.get(tid)?.ms ?? 0);
  return names;
}

/** Every process below `pid`, itself included. */
export function family(pid) {
  const parents = readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .flatMap((entry) => {
      try {
        const stat = readFileSync(`/proc/${entry}/stat`, 'utf8');
        return [[Number(entry), Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1])]];
      } catch {
        return [];
      }
    });
  const found = [pid];
  for (const member of found) for (const [child, parent] of parents) if (parent === member) found.push(child);
  return found;
}

/** Whether a process runs the native core, as node core or as a pod's process. */
export function isCore(pid) {
  try {
    return /trimtab-core/.test(`${readlinkSync(`/proc/${pid}/exe`)} ${readFileSync(`/proc/${pid}/comm`, 'utf8')}`);
  } catch {
    return false;
  }
}
