import * as fs from 'node:fs/promises';
import { join } from 'node:path';
import { type ResolvedUser, resolveUser } from '../../container/user.js';
import type { ConfigFile } from '../archive.js';
import type { DirectoryImageStore } from '../directory-store.js';
import type { Image } from '../image-store.js';
import { hexOf, isIndex, type Manifest, type Platform, parseManifest } from '../manifest.js';
import type { BuildCache, CachedLayer } from './cache.js';
import { type BuildConfig, configAfter, shellOf, splitPair } from './config.js';
import { CopyError, missingDirectories } from './copy.js';
import { addSources, type CopyEnvironment } from './copy-step.js';
import { atLine, type Instruction, parseInstruction } from './dockerfile.js';
import { layerOf } from './layers.js';
import { DockerfileError } from './lines.js';
import { MOUNT_POINTS, runCommand } from './run.js';
import type { StageScope } from './scope.js';
import { MergedTree } from './tree.js';

/** What is shown while an image is built. */
export type BuildProgress = (
  event:
    | { readonly type: 'step'; readonly index: number; readonly total: number; readonly text: string }
    | { readonly type: 'cached' }
    | { readonly type: 'output'; readonly chunk: Uint8Array }
    | { readonly type: 'warning'; readonly text: string },
) => void;

/** What every stage of a build is handed. */
export interface BuildEnvironment {
  readonly store: DirectoryImageStore;
  readonly coreBinary: string;
  /** This machine's, in the words of image manifests. */
  readonly hostArchitecture: string;
  /** The image store's. */
  readonly directory: string;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  readonly uniqueId: () => string;
  /** Seconds; what is made is as if it had been made then. */
  readonly sourceDateEpoch?: number;
  readonly noCache: boolean;
  readonly network: 'host' | 'none';
  /** Fetches an image that is not here. */
  readonly pull: (reference: string, platform: string) => Promise<Image>;
  readonly progress: BuildProgress;
  readonly signal?: AbortSignal;
  readonly cache: BuildCache;
  readonly context: MergedTree;
  /** Name of the Dockerfile, for messages. */
  readonly file: string;
  readonly escapeChar: string;
  /** A finished stage by name or number. */
  readonly result: (name: string) => StageResult | undefined;
  readonly resolve: (reference: string, platform?: string) => Promise<Image>;
}

export interface StageResult {
  /** Lowest first. */
  readonly layers: readonly CachedLayer[];
  readonly config: BuildConfig;
  readonly history: readonly object[];
  readonly platform: Platform;
  readonly author?: string;
  configFile(labels: Readonly<Record<string, string>>): Buffer;
}

const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
const USER_NAMES = { spec: { containers: [] }, container: { name: 'build' } };

/** Carries out the instructions of one stage, one after another. */
export class StageBuilder {
  readonly #env: BuildEnvironment;
  readonly #scope: StageScope;
  #platform: Platform;
  #config: BuildConfig = {};
  #layers: CachedLayer[] = [];
  #history: object[] = [];
  #author: string | undefined;
  #tree: Promise<MergedTree> | undefined;
  /** A base's CMD goes when the stage sets an ENTRYPOINT; its own stays. */
  #ownCmd: readonly string[] | undefined;

  constructor(environment: BuildEnvironment, scope: StageScope, platform: Platform) {
    this.#env = environment;
    this.#scope = scope;
    this.#platform = platform;
  }

  async from(line: number, base: string, stage: StageResult | undefined, platform: string | undefined): Promise<void> {
    if (stage !== undefined) {
      this.#config = stage.config;
      this.#layers = [...stage.layers];
      this.#history = [...stage.history];
      this.#platform = stage.platform;
      this.#author = stage.author;
    } else if (base !== 'scratch') {
      const image = await this.#env.resolve(base, platform).catch((error: Error) => {
        throw new DockerfileError(line, error.message, this.#env.file);
      });
      const { config, layers, file } = await partsOf(this.#env.store, image);
      this.#config = config;
      this.#layers = [...layers];
      this.#history = [...((file as { readonly history?: object[] }).history ?? [])];
      this.#platform = { ...this.#platform, ...(file.architecture ? { architecture: file.architecture } : {}) };
    }
    const { OnBuild = [], ...config } = this.#config;
    this.#config = config;
    for (const trigger of OnBuild) await this.step(parseInstruction(trigger, line));
  }

  async step(instruction: Instruction): Promise<void> {
    const { line } = instruction;
    try {
      await this.#carryOut(instruction);
    } catch (error) {
      if (error instanceof DockerfileError)
        throw new DockerfileError(error.line, error.message.replace(/^[^\n]*?:\d+: /, ''), this.#env.file);
      const spoken = ['CopyError', 'ExpansionError', 'LayerError', 'ContainerConfigError'].includes(
        (error as Error).name,
      );
      if (spoken) throw new DockerfileError(line, (error as Error).message, this.#env.file);
      throw error;
    }
  }

  result(): StageResult {
    const { sourceDateEpoch, now } = this.#env;
    const at = new Date(sourceDateEpoch === undefined ? now() : sourceDateEpoch * 1000).toISOString();
    const { architecture, os = 'linux', variant } = this.#platform;
    const layers = this.#layers;
    const config = this.#config;
    const history = this.#history;
    const author = this.#author;
    return {
      layers,
      config,
      history,
      platform: this.#platform,
      ...(author === undefined ? {} : { author }),
      configFile: (labels) =>
        Buffer.from(
          JSON.stringify({
            created: at,
            ...(author === undefined ? {} : { author }),
            architecture,
            os,
            ...(variant ? { variant } : {}),
            config: Object.keys(labels).length > 0 ? { ...config, Labels: { ...config.Labels, ...labels } } : config,
            rootfs: { type: 'layers', diff_ids: layers.map((layer) => layer.diffId) },
            history,
          }),
        ),
    };
  }

  async #carryOut(instruction: Instruction): Promise<void> {
    const { keyword, line, rest } = instruction;
    const { escapeChar, file } = this.#env;
    const lookup = this.#scope.lookup(this.#config);
    switch (keyword) {
      case 'RUN':
        return this.#run(instruction);
      case 'COPY':
      case 'ADD':
        return this.#commit(
          instruction,
          await atLine(line, file, () => addSources(instruction, lookup, this.#copying())),
        );
      case 'ARG':
        atLine(line, file, () => this.#scope.declare(instruction, this.#config, escapeChar));
        return this.#record(instruction, true);
      case 'MAINTAINER':
        this.#author = rest;
        return this.#record(instruction, true);
      default: {
        const before = this.#config;
        this.#config = atLine(line, file, () => configAfter(before, instruction, lookup, escapeChar));
        if (keyword === 'CMD') this.#ownCmd = this.#config.Cmd;
        if (keyword === 'ENTRYPOINT' && this.#ownCmd) this.#config = { ...this.#config, Cmd: this.#ownCmd };
        if (keyword === 'WORKDIR') return this.#workdir(instruction);
        return this.#record(instruction, true);
      }
    }
  }

  async #run(instruction: Instruction): Promise<void> {
    const { flags, exec, rest, heredocs, line } = instruction;
    if (flags.mount !== undefined)
      throw new DockerfileError(
        line,
        'RUN --mount is not supported: COPY what the command needs, or RUN without a mount',
      );
    const host = this.#env.hostArchitecture;
    if (this.#platform.architecture !== host)
      throw new DockerfileError(line, `RUN needs a machine of ${this.#platform.architecture}, this one is ${host}`);
    const user = await this.#user();
    const lookup = new Map((this.#config.Env ?? []).map(splitPair));
    const own = [...(this.#config.Env ?? []), ...this.#scope.environment(this.#config)];
    const env = [
      ...(lookup.has('PATH') ? [] : [`PATH=${DEFAULT_PATH}`]),
      ...(lookup.has('HOME') ? [] : [`HOME=${user.home ?? '/'}`]),
      ...own,
    ];
    const only = heredocs.length === 1 && /^<<-?\s*["']?[A-Za-z_]\w*["']?$/.test(rest);
    const script = only
      ? heredocs[0]!.content
      : [rest, ...heredocs.map(({ name, content }) => `${content}${name}`)].join('\n') +
        (heredocs.length > 0 ? '\n' : '');
    const shebang = only && script.startsWith('#!');
    const args = exec ?? (shebang ? [SCRIPT] : [...shellOf(this.#config), script]);
    const network = flags.network === 'none' || flags.network === 'host' ? flags.network : this.#env.network;
    const cwd = this.#config.WorkingDir || '/';
    const inputs = {
      args,
      script: shebang ? script : '',
      env,
      user: [user.uid, user.gid, user.additionalGids],
      cwd,
      network,
    };
    await this.#commit(instruction, {
      inputs,
      make: async (directory) => {
        const files: Record<string, string> =
          network === 'host' ? { '/etc/resolv.conf': '/etc/resolv.conf', '/etc/hosts': '/etc/hosts' } : {};
        if (shebang) {
          files[SCRIPT] = join(directory, 'script');
          await fs.writeFile(files[SCRIPT], script, { mode: 0o755 });
        }
        const layers = await this.#lower(directory);
        const code = await runCommand(
          { args, env: [...this.#scope.proxies(), ...env], cwd, user, layers, network, files },
          {
            coreBinary: this.#env.coreBinary,
            directory,
            id: `build-${this.#env.uniqueId()}`,
            output: (chunk) => this.#env.progress({ type: 'output', chunk }),
            signal: this.#env.signal,
          },
        );
        if (code !== 0)
          throw new DockerfileError(
            line,
            `process "${args.join(' ').trim()}" did not complete successfully: exit code: ${code}`,
          );
        const upper = join(directory, 'root', 'upper');
        return { upper, exclude: await this.#madeForMounts(upper) };
      },
    });
  }

  /** Files and directories that only hold mounts of the container. */
  async #madeForMounts(upper: string): Promise<readonly string[]> {
    const tree = await this.#currentTree();
    const made: string[] = [];
    for (const path of MOUNT_POINTS) {
      const names = await fs.readdir(join(upper, path)).catch(() => []);
      const empty = names.every((name) => made.includes(`${path}/${name}`));
      const touched = path === 'etc' && names.length > 0 && empty;
      if (touched || (empty && (await tree.find(path, false)) === undefined)) made.push(path);
    }
    return made;
  }

  async #workdir(instruction: Instruction): Promise<void> {
    const path = this.#config.WorkingDir!;
    const there = await (await this.#currentTree()).find(path, true);
    if (there?.stat.isDirectory()) return this.#record(instruction, true);
    if (there !== undefined) throw new CopyError(`${path} is there and is no directory`);
    const copying = this.#copying();
    const { uid, gid } = await this.#user();
    const missing = await missingDirectories(await this.#currentTree(), path);
    await this.#commit(instruction, {
      inputs: { workdir: path, uid, gid },
      make: (directory) =>
        copying.merge(
          directory,
          missing.map((to) => ({ to, directory: { uid, gid } })),
        ),
    });
  }

  #copying(): CopyEnvironment {
    return {
      asking: () => this.#env.store.registryOptions(),
      core: this.#env.coreBinary,
      context: this.#env.context,
      escapeChar: this.#env.escapeChar,
      workdir: this.#config.WorkingDir || '/',
      sourceDateEpoch: this.#env.sourceDateEpoch,
      target: () => this.#currentTree(),
      lower: (directory) => this.#lower(directory),
      user: (text) => this.#user(text),
      tree: async (from) => {
        const stage = this.#env.result(from);
        if (stage !== undefined) return this.#treeOf(stage.layers);
        return MergedTree.ofLayers((await this.#env.resolve(from)).layers);
      },
      merge: async (directory, items) =>
        (await import('./copy-step.js')).mergeItems(this.#copying(), directory, items, {}),
    };
  }

  /** The step's layer: that of an earlier build with the same inputs, or a new one. */
  async #commit(
    instruction: Instruction,
    { inputs, make }: { readonly inputs: unknown; readonly make: MakeUpper },
  ): Promise<void> {
    const below = this.#layers.map((layer) => layer.diffId);
    const { layer, cached } = await layerOf(this.#env, { below, inputs }, make);
    if (cached) this.#env.progress({ type: 'cached' });
    this.#layers.push(layer);
    this.#tree = undefined;
    this.#record(instruction, false);
  }

  #record({ text }: Instruction, empty: boolean): void {
    const { sourceDateEpoch, now } = this.#env;
    const created = new Date(sourceDateEpoch === undefined ? now() : sourceDateEpoch * 1000).toISOString();
    this.#history.push({ created, created_by: text, ...(empty ? { empty_layer: true } : {}) });
  }

  #currentTree(): Promise<MergedTree> {
    this.#tree ??= this.#treeOf(this.#layers);
    return this.#tree;
  }

  #treeOf(layers: readonly CachedLayer[]): Promise<MergedTree> {
    return MergedTree.ofLayers(this.#roots(layers));
  }

  #roots(layers: readonly CachedLayer[]): readonly string[] {
    return layers.map((layer) => this.#env.store.parts.layers.root(hexOf(layer.diffId))).reverse();
  }

  /** Lower directories for an overlay, which wants at least one. */
  async #lower(directory: string): Promise<readonly string[]> {
    if (this.#layers.length > 0) return this.#roots(this.#layers);
    const empty = join(directory, 'scratch');
    await fs.mkdir(empty, { mode: 0o755 });
    return [empty];
  }

  async #user(text = this.#config.User): Promise<ResolvedUser> {
    const tree = await this.#currentTree();
    const [passwd, group] = [await tree.text('etc/passwd'), await tree.text('etc/group')];
    return resolveUser(USER_NAMES.spec, USER_NAMES.container, text, { passwd, group });
  }
}

/** In a /dev that goes with the container. */
const SCRIPT = '/dev/build-script';

/** Fills a directory's overlay; what is excluded is no part of the layer. */
export type MakeUpper = (directory: string) => Promise<{ readonly upper: string; readonly exclude: readonly string[] }>;

/** An image of the store as a stage may begin with it. */
async function partsOf(
  store: DirectoryImageStore,
  image: Image,
): Promise<{ config: BuildConfig; layers: readonly CachedLayer[]; file: ConfigFile }> {
  const record = await store.parts.records.get(image.id);
  const bytes = record?.manifest ? await store.parts.blobs.read(record.manifest) : undefined;
  const manifest = bytes && parseManifest(bytes);
  if (record === undefined || manifest === undefined || isIndex(manifest))
    throw new CopyError(
      `${image.tags[0] ?? image.id} was brought by an older version that kept no blobs: load it again`,
    );
  const layers = (manifest as Manifest).layers.map((descriptor, at) => ({
    diffId: record.config.rootfs.diff_ids[at]!,
    descriptor,
  }));
  return { config: record.config.config ?? {}, layers, file: record.config };
}
