import { constants, type Stats } from 'node:fs';
import * as fs from 'node:fs/promises';
import { join } from 'node:path';
import { patternRegex } from './patterns.js';

/** One file of a tree. */
export interface TreeEntry {
  /** Without a leading slash; the root is empty. */
  readonly path: string;
  readonly stat: Stats;
  /** Where it lies on this machine; no part of the way is a link. */
  readonly file: string;
}

interface Root {
  readonly root: string;
  /** Directories below which nothing of lower roots shows. */
  readonly opaque: ReadonlySet<string>;
}

const MAX_LINKS = 40;

/**
 * Directories over one another, as overlay shows them, for reading: layers of an image, or one build context. Links are followed
 * as if the tree were all there is, so nothing outside is ever read.
 */
export class MergedTree {
  readonly #roots: readonly Root[];
  readonly #hidden: (path: string) => boolean;

  private constructor(roots: readonly Root[], hidden: (path: string) => boolean) {
    this.#roots = roots;
    this.#hidden = hidden;
  }

  /** `layers` topmost first, as the image store unpacked them. */
  static async ofLayers(layers: readonly string[]): Promise<MergedTree> {
    const roots = await Promise.all(
      layers.map(async (root) => {
        const text = await fs.readFile(join(root, '..', 'opaque'), 'utf8').catch(() => '[]');
        return { root, opaque: new Set(JSON.parse(text) as string[]) };
      }),
    );
    return new MergedTree(roots, () => false);
  }

  static ofDirectory(root: string, hidden: (path: string) => boolean): MergedTree {
    return new MergedTree([{ root, opaque: new Set() }], hidden);
  }

  /** What `path` names once links are followed; the last one only when `follow`. Undefined when there is nothing. */
  async find(path: string, follow: boolean): Promise<TreeEntry | undefined> {
    const pending = path.split('/');
    const done: string[] = [];
    let found = await this.#at('');
    for (let links = 0; pending.length > 0; ) {
      const part = pending.shift()!;
      if (part === '' || part === '.') continue;
      if (part === '..') {
        done.pop();
        found = await this.#at(done.join('/'));
        continue;
      }
      found = await this.#at([...done, part].join('/'));
      if (found === undefined) return undefined;
      if (!found.stat.isSymbolicLink() || (pending.every((p) => p === '') && !follow)) {
        done.push(part);
        continue;
      }
      if (++links > MAX_LINKS) return undefined;
      const target = await fs.readlink(found.file);
      if (target.startsWith('/')) done.length = 0;
      pending.unshift(...target.split('/'));
      found = await this.#at(done.join('/'));
    }
    return found;
  }

  /** Names in a directory, sorted by their bytes. */
  async list(directory: string): Promise<readonly string[]> {
    const names = new Set<string>();
    for (const { root } of this.#roots)
      for (const name of await fs.readdir(join(root, directory)).catch(() => [])) names.add(name);
    const shown: string[] = [];
    for (const name of names) {
      const path = directory === '' ? name : `${directory}/${name}`;
      if ((await this.#at(path)) !== undefined) shown.push(name);
    }
    return shown.sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  }

  /** Everything at and below an entry, a directory before what is in it. */
  async *walk(entry: TreeEntry): AsyncGenerator<TreeEntry> {
    if (!this.#hidden(entry.path) || entry.path === '') yield entry;
    if (!entry.stat.isDirectory()) return;
    for (const name of await this.list(entry.path)) {
      const child = await this.#at(entry.path === '' ? name : `${entry.path}/${name}`);
      if (child !== undefined) yield* this.walk(child);
    }
  }

  /** Entries whose path fits a pattern, links in it followed. */
  async match(pattern: string): Promise<readonly TreeEntry[]> {
    let paths = [''];
    for (const part of pattern.split('/').filter((p) => p !== '' && p !== '.')) {
      const next: string[] = [];
      for (const path of paths) {
        const below = (name: string): string => (path === '' ? name : `${path}/${name}`);
        if (!/[*?[\\]/.test(part)) next.push(part === '..' ? path.split('/').slice(0, -1).join('/') : below(part));
        else {
          const directory = await this.find(path, true);
          const regex = patternRegex(part, false);
          if (directory?.stat.isDirectory())
            for (const name of await this.list(directory.path)) if (regex.test(name)) next.push(below(name));
        }
      }
      paths = next;
    }
    const found = await Promise.all(paths.map((path) => this.find(path, true)));
    return found.filter(
      (entry): entry is TreeEntry => entry !== undefined && (entry.path === '' || !this.#gone(entry)),
    );
  }

  /** A small file's text; empty when there is none. Nothing but a file is read: a device could block. */
  async text(path: string): Promise<string> {
    const entry = await this.find(path, true);
    if (!entry?.stat.isFile()) return '';
    const handle = await fs.open(entry.file, constants.O_RDONLY | constants.O_NOFOLLOW);
    try {
      return await handle.readFile('utf8');
    } finally {
      await handle.close();
    }
  }

  /** Ignored files do not exist; an ignored directory may hold exceptions. */
  #gone(entry: TreeEntry): boolean {
    return this.#hidden(entry.path) && !entry.stat.isDirectory();
  }

  async #at(path: string): Promise<TreeEntry | undefined> {
    for (const { root, opaque } of this.#roots) {
      const parts = path === '' ? [] : path.split('/');
      for (let depth = 0; depth < parts.length; depth++) {
        const stat = await lstat(join(root, ...parts.slice(0, depth)));
        if (stat === undefined) break;
        if (!stat.isDirectory()) return undefined;
      }
      const file = join(root, path);
      const stat = await lstat(file);
      if (stat !== undefined) {
        // Overlay's whiteout.
        if (stat.isCharacterDevice() && stat.rdev === 0) return undefined;
        const entry = { path, stat, file };
        return path !== '' && this.#gone(entry) ? undefined : entry;
      }
      if (parts.some((_, depth) => opaque.has(parts.slice(0, depth).join('/')))) return undefined;
    }
    return undefined;
  }
}

const lstat = (path: string): Promise<Stats | undefined> => fs.lstat(path).catch(() => undefined);
