import { type Dirent, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';

/** Places of the machine where a node could leave something, and how deep below them its names can be. */
const PLACES: readonly (readonly [directory: string, depth: number])[] = [
  ['/dev/shm', 3],
  ['/dev/mqueue', 1],
  ['/run', 3],
  ['/tmp', 1],
  ['/sys/class/net', 1],
];
const CGROUP_DEPTH = 5;
const NAMESPACE = /^(net|mnt|ipc|uts|pid|user|cgroup|time):\[/;

/**
 * Everything on this machine that bears one of the marks (UIDs of pods, directories of a cluster): processes, mounts, cgroups of all
 * hierarchies, files in memory and of the run directory, interfaces; and namespaces that this process itself still holds open.
 */
export function leftOvers(marks: readonly string[]): readonly string[] {
  const ours = (text: string): boolean => marks.some((mark) => text.includes(mark));
  return [
    ...processes(ours),
    ...linesOf('/proc/self/mountinfo')
      .filter(ours)
      .map((line) => `mount ${line}`),
    ...cgroupRoots().flatMap((root) => named(root, CGROUP_DEPTH, ours).map((path) => `cgroup ${path}`)),
    ...PLACES.flatMap(([directory, depth]) => named(directory, depth, ours).map((path) => `file ${path}`)),
    ...openNamespaces(),
  ];
}

function processes(ours: (text: string) => boolean): readonly string[] {
  return namesIn('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .flatMap((pid) => {
      const command = read(`/proc/${pid}/cmdline`).replaceAll('\0', ' ');
      return ours(command) || ours(read(`/proc/${pid}/cgroup`)) ? [`process ${pid} ${command}`] : [];
    });
}

function openNamespaces(): readonly string[] {
  return namesIn('/proc/self/fd').flatMap((fd) => {
    try {
      const target = readlinkSync(join('/proc/self/fd', fd));
      return NAMESPACE.test(target) ? [`descriptor ${fd} of ${target}`] : [];
    } catch {
      return [];
    }
  });
}

const cgroupRoots = (): readonly string[] =>
  linesOf('/proc/self/mounts')
    .map((line) => line.split(' '))
    .flatMap(([, mount = '', type]) => (type === 'cgroup' || type === 'cgroup2' ? [mount] : []));

/** Paths of what is below a directory and wanted by its name; below that nobody looks. */
function named(directory: string, depth: number, wanted: (name: string) => boolean): readonly string[] {
  let entries: readonly Dirent[];
  try {
    entries = readdirSync(directory, { withFileTypes: true });
  } catch {
    return [];
  }
  return entries.flatMap((entry) => {
    const path = join(directory, entry.name);
    if (wanted(entry.name)) return [path];
    return entry.isDirectory() && depth > 1 ? named(path, depth - 1, wanted) : [];
  });
}

const linesOf = (path: string): readonly string[] => read(path).split('\n').filter(Boolean);

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

function namesIn(directory: string): readonly string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}
