import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import * as fs from 'node:fs/promises';
import { basename, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { extract, pack } from 'tar-stream';
import type { ResolvedUser } from '../../container/user.js';
import { compressionOf, decompress, feedTar } from '../layer.js';
import type { RegistryOptions } from '../registry/pull.js';
import { Transport } from '../registry/transport.js';
import { joinPath } from './config.js';
import {
  type CopyAttributes,
  CopyError,
  type CopyItem,
  digestOfItems,
  missingDirectories,
  placeSources,
  tarOf,
} from './copy.js';
import type { Instruction } from './dockerfile.js';
import { expandText, expandWord, type Lookup, splitWords } from './expand.js';
import { parseIgnore } from './patterns.js';
import type { MakeUpper } from './stage.js';
import type { MergedTree } from './tree.js';

const ROOT = { uid: 0, gid: 0 };

/** A directory that has no source. */
export interface NewDirectory {
  readonly to: string;
  readonly directory: { readonly uid: number; readonly gid: number };
}

/** What COPY and ADD need of the stage they are in. */
export interface CopyEnvironment {
  readonly core: string;
  readonly context: MergedTree;
  readonly escapeChar: string;
  readonly workdir: string;
  readonly sourceDateEpoch: number | undefined;
  readonly target: () => Promise<MergedTree>;
  readonly lower: (directory: string) => Promise<readonly string[]>;
  readonly user: (text: string) => Promise<ResolvedUser>;
  /** How a URL is asked for. */
  readonly asking: () => Promise<Pick<RegistryOptions, 'userAgent' | 'proxies'>>;
  /** Of a stage or an image. */
  readonly tree: (from: string) => Promise<MergedTree>;
  readonly merge: (
    directory: string,
    items: readonly (CopyItem | NewDirectory)[],
  ) => Promise<{ readonly upper: string; readonly exclude: readonly string[] }>;
}

/** What COPY or ADD makes, and what it depends on. Rejects with a CopyError. */
export async function addSources(
  instruction: Instruction,
  lookup: Lookup,
  environment: CopyEnvironment,
): Promise<{ readonly inputs: unknown; readonly make: MakeUpper }> {
  const { keyword, flags, exec, rest, heredocs } = instruction;
  const { context, escapeChar, workdir, sourceDateEpoch } = environment;
  const expand = (text: string): string => expandWord(text, lookup, escapeChar);
  if (flags.parents !== undefined) throw new CopyError('COPY --parents is not supported: copy the directory instead');
  const words = (exec ?? splitWords(rest, escapeChar)).map((word) => (word.startsWith('<<') ? word : expand(word)));
  const last = words.at(-1)!;
  const destination = `${joinPath(workdir, last)}${/(^|\/)\.?\.?$/.test(last) ? '/' : ''}`.replace(/\/+$/, '/');
  const from = flags.from === undefined ? undefined : expand(flags.from);
  const source = from === undefined ? context : await environment.tree(from);
  const target = await environment.target();
  const patterns: string[] = [];
  const urls: string[] = [];
  for (const word of words.slice(0, -1))
    if (/^https?:\/\//.test(word) && keyword === 'ADD') urls.push(word);
    else if (keyword === 'ADD' && /^(git@|git:\/\/|ssh:\/\/)/.test(word))
      throw new CopyError(`ADD of a git repository (${word}) is not supported: clone it into the context`);
    else if (!word.startsWith('<<')) patterns.push(word);
  const placed = await placeSources(patterns, destination, source, target, { unpackArchives: keyword === 'ADD' });
  const items: CopyItem[] = [
    ...placed.items,
    ...heredocs.map(({ name, content, expand: expands }) => ({
      to: destination.endsWith('/') ? joinPath(destination, name) : destination,
      content: { text: expands ? expandText(content, lookup, escapeChar) : content },
    })),
  ];
  const kept = withoutExcluded(items, destination, flags.exclude);
  const attributes: CopyAttributes = {
    ...(await ownerOf(flags.chown === undefined ? undefined : expand(flags.chown), from, environment)),
    ...(flags.chmod === undefined ? {} : { mode: modeOf(expand(flags.chmod)) }),
    ...(sourceDateEpoch === undefined ? {} : { clamp: sourceDateEpoch }),
  };
  const checksum = flags.checksum === undefined ? undefined : expand(flags.checksum);
  for (const url of urls)
    if (checksum === undefined)
      throw new CopyError(
        `ADD ${url} needs --checksum=sha256:…, so that a build gives the same whatever the network says`,
      );
  const digest = await digestOfItems(kept, attributes);
  return {
    inputs: { copy: digest, attributes, destination, urls, checksum },
    make: async (directory) => {
      const fetched: CopyItem[] = [];
      for (const url of urls)
        fetched.push(await fetchUrl(url, checksum!, destination, directory, await environment.asking()));
      const parents = (await missingDirectories(target, placed.directory)).map((to) => ({
        to,
        directory: attributes.owner ?? ROOT,
      }));
      return mergeItems(environment, directory, [...parents, ...kept, ...fetched], attributes);
    },
  };
}

/** Puts items on top of what there is; what they change is left in the overlay's upper directory. */
export async function mergeItems(
  environment: Pick<CopyEnvironment, 'core' | 'lower'>,
  directory: string,
  items: readonly (CopyItem | NewDirectory)[],
  attributes: CopyAttributes,
): Promise<{ readonly upper: string; readonly exclude: readonly string[] }> {
  const overlay = join(directory, 'merge');
  const layers = await environment.lower(directory);
  const all = async function* (): AsyncGenerator<Uint8Array> {
    const END = 1024;
    const copies = items.filter((item): item is CopyItem => 'content' in item);
    const made = items.filter((item): item is NewDirectory => 'directory' in item);
    // One archive: what ends each of its parts is left out.
    if (made.length > 0) yield* withoutEnd(directories(made), END);
    for (const item of copies)
      if ('archive' in item.content) yield* withoutEnd(moved(item.content.archive, item.to, attributes), END);
    yield* tarOf(copies, attributes);
  };
  await feedTar(environment.core, ['layer', 'merge', overlay, ...layers], all());
  return { upper: join(overlay, 'upper'), exclude: [] };
}

async function* directories(items: readonly NewDirectory[]): AsyncGenerator<Uint8Array> {
  const tar = pack();
  for (const { to, directory } of items)
    tar.entry({ ...directory, name: `${to.slice(1)}/`, type: 'directory', mode: 0o755, mtime: new Date(0) });
  tar.finalize();
  yield* tar as AsyncIterable<Uint8Array>;
}

/** An archive's entries with their names below `to`. */
async function* moved(archive: string, to: string, { owner, mode }: CopyAttributes): AsyncGenerator<Uint8Array> {
  const out = pack();
  const input = extract();
  const feeding = pipeline(decompress(archive, await compressionOf(archive)), input);
  const moving = (async () => {
    for await (const entry of input) {
      const { header } = entry;
      const name = joinPath(to, joinPath('/', header.name).slice(1)).slice(1);
      const linkname =
        header.type === 'link' ? joinPath(to, joinPath('/', header.linkname!).slice(1)).slice(1) : header.linkname;
      const { pax: _, ...plain } = header as typeof header & { readonly pax?: unknown };
      const next = out.entry({
        ...plain,
        name: header.type === 'directory' ? `${name}/` : name,
        ...(linkname ? { linkname } : {}),
        ...(owner ?? {}),
        ...(mode === undefined ? {} : { mode }),
      });
      await pipeline(entry, next);
    }
    out.finalize();
  })().catch((error: Error) => out.destroy(error));
  yield* out as AsyncIterable<Uint8Array>;
  await moving;
  await feeding;
}

/** A tar stream less its last blocks, which are zeros. */
async function* withoutEnd(tar: AsyncIterable<Uint8Array>, size: number): AsyncGenerator<Uint8Array> {
  let held = Buffer.alloc(0);
  for await (const chunk of tar) {
    held = Buffer.concat([held, chunk]);
    if (held.length > size) {
      yield held.subarray(0, held.length - size);
      held = Buffer.from(held.subarray(held.length - size));
    }
  }
}

async function ownerOf(
  chown: string | undefined,
  from: string | undefined,
  { user }: CopyEnvironment,
): Promise<Pick<CopyAttributes, 'owner'>> {
  if (chown === undefined) return from === undefined ? { owner: { uid: 0, gid: 0 } } : {};
  const { uid, gid, home } = await user(chown);
  // A number without a group, of which the image knows nothing, is its own group.
  return { owner: { uid, gid: chown.includes(':') || home !== undefined ? gid : uid } };
}

function modeOf(text: string): number {
  if (!/^0?[0-7]{1,4}$/.test(text)) throw new CopyError(`--chmod=${text}: an octal number such as 755 is expected`);
  return Number.parseInt(text, 8);
}

function withoutExcluded(
  items: readonly CopyItem[],
  destination: string,
  exclude: string | undefined,
): readonly CopyItem[] {
  if (exclude === undefined) return items;
  const ignore = parseIgnore(exclude);
  const base = joinPath('/', destination);
  return items.filter(({ to }) => !ignore(to.slice(base.length).replace(/^\//, '')));
}

async function fetchUrl(
  url: string,
  checksum: string,
  destination: string,
  directory: string,
  { userAgent, proxies }: Awaited<ReturnType<CopyEnvironment['asking']>>,
): Promise<CopyItem> {
  const file = join(directory, `fetched-${basename(new URL(url).pathname) || 'file'}`);
  const transport = new Transport(undefined, userAgent, proxies);
  try {
    const response = await transport.send({ method: 'GET', url: new URL(url) });
    if (response.statusCode !== 200) throw new CopyError(`ADD ${url}: the server answers ${response.statusCode}`);
    const hash = createHash('sha256');
    const hashed = async function* (source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
      for await (const chunk of source) {
        hash.update(chunk);
        yield chunk;
      }
    };
    await pipeline(response, hashed, createWriteStream(file, { mode: 0o600 }));
    const found = `sha256:${hash.digest('hex')}`;
    if (found !== checksum) throw new CopyError(`ADD ${url}: digest mismatch: ${found} instead of ${checksum}`);
    await fs.utimes(file, 0, 0);
    const name = basename(new URL(url).pathname);
    const to = destination.endsWith('/') ? joinPath(destination, name) : destination;
    return { to, content: { entry: { path: name, file, stat: await fs.lstat(file) } } };
  } finally {
    transport.close();
  }
}
