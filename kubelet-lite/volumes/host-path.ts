import * as fs from 'node:fs/promises';
import { dirname } from 'node:path';

/** Checks, and for the `…OrCreate` types makes, what a hostPath volume names (Kubernetes: hostPath types). */
export async function checkHostPath(path: string, type: string | undefined): Promise<void> {
  if (!type) return;
  const stat = await fs.stat(path).catch(() => undefined);
  switch (type) {
    case 'DirectoryOrCreate':
      if (!stat) await fs.mkdir(path, { recursive: true, mode: 0o755 });
      else if (!stat.isDirectory()) throw wrong(path, 'a directory');
      break;
    case 'FileOrCreate':
      if (!stat) {
        await fs.stat(dirname(path));
        await (await fs.open(path, 'a', 0o644)).close();
      } else if (!stat.isFile()) throw wrong(path, 'a file');
      break;
    case 'Directory':
      if (!stat?.isDirectory()) throw wrong(path, 'a directory');
      break;
    case 'File':
      if (!stat?.isFile()) throw wrong(path, 'a file');
      break;
    case 'Socket':
      if (!stat?.isSocket()) throw wrong(path, 'a socket file');
      break;
    case 'CharDevice':
      if (!stat?.isCharacterDevice()) throw wrong(path, 'a character device');
      break;
    case 'BlockDevice':
      if (!stat?.isBlockDevice()) throw wrong(path, 'a block device');
      break;
    default:
      throw new Error(`hostPath type "${type}" is not one that Kubernetes has`);
  }
}

const wrong = (path: string, what: string): Error => new Error(`hostPath type check failed: ${path} is not ${what}`);
