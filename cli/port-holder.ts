import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** The process that listens on a TCP port in this network namespace, as far as we may look (proc(5)). */
export function portHolder(port: number): { readonly pid: number; readonly command: string } | undefined {
  const sockets = new Set(['/proc/net/tcp', '/proc/net/tcp6'].flatMap((table) => listenersOn(table, port)));
  if (sockets.size === 0) return undefined;
  for (const pid of entries('/proc').filter((name) => /^\d+$/.test(name)))
    for (const fd of entries(`/proc/${pid}/fd`)) {
      const inode = /^socket:\[(\d+)\]$/.exec(link(`/proc/${pid}/fd/${fd}`))?.[1];
      if (inode !== undefined && sockets.has(inode)) return { pid: Number(pid), command: commandOf(pid) };
    }
  return undefined;
}

const LISTENING = '0A';

function listenersOn(table: string, port: number): string[] {
  const wanted = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  return text(table)
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter((fields) => fields[1]?.endsWith(wanted) && fields[3] === LISTENING)
    .map((fields) => fields[9]!);
}

const commandOf = (pid: string): string => text(`/proc/${pid}/cmdline`).split('\0').join(' ').trim().slice(0, 100);

function entries(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

function link(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}

function text(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
