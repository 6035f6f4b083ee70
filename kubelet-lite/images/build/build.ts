import { manifestOf } from '../archive.js';
import type { Image } from '../image-store.js';
import { parsePlatform } from '../manifest.js';
import { parseReference } from '../reference.js';
import { BuildCache } from './cache.js';
import { atLine, type Dockerfile, parseDockerfile, type Stage } from './dockerfile.js';
import { expandWord } from './expand.js';
import { DockerfileError } from './lines.js';
import { parseIgnore } from './patterns.js';
import { BuildArguments, globalScope, StageScope } from './scope.js';
import { type BuildEnvironment, StageBuilder, type StageResult } from './stage.js';
import { MergedTree } from './tree.js';

export interface BuildOptions
  extends Omit<BuildEnvironment, 'cache' | 'context' | 'file' | 'escapeChar' | 'result' | 'resolve'> {
  /** The directory COPY and ADD take files from. */
  readonly contextDirectory: string;
  readonly dockerfile: { readonly text: string; readonly name: string };
  /** Text of `.dockerignore`. */
  readonly ignore?: string;
  readonly tags: readonly string[];
  readonly arguments: Readonly<Record<string, string>>;
  /** Name or number of the stage to build; default the last. */
  readonly target?: string;
  readonly platform: string;
  readonly labels?: Readonly<Record<string, string>>;
}

/**
 * Builds a Dockerfile into the image store: only the stages that are needed, each step from the cache where its inputs are what
 * they were. With `sourceDateEpoch` the same inputs give the same image, to the bit. Rejects with a DockerfileError that names
 * the line.
 */
export async function buildImage(options: BuildOptions): Promise<Image> {
  const { dockerfile, store, progress } = options;
  const file = parseDockerfile(dockerfile.text, dockerfile.name);
  const platform = parsePlatform(options.platform);
  const args = new BuildArguments(options.arguments, platform);
  const globals = globalScope(file, args, dockerfile.name);
  const bases = file.stages.map((stage) => expandIn(file, stage, stage.base, globals, args, dockerfile.name));
  const last = targetOf(file, options.target);
  const needed = neededStages(file, bases, last);
  const total = needed.reduce((sum, index) => sum + 1 + file.stages[index]!.instructions.length, 0);
  const results = new Map<number, StageResult>();
  let step = 0;
  const ignore = parseIgnore(options.ignore ?? '');
  const environment: BuildEnvironment = {
    ...options,
    file: dockerfile.name,
    escapeChar: file.escapeChar,
    cache: new BuildCache(options.directory),
    context: MergedTree.ofDirectory(options.contextDirectory, ignore),
    result: (name) => {
      const index = stageIndex(file, name, file.stages.length);
      return index === undefined ? undefined : results.get(index);
    },
    resolve: (reference, wanted) => resolveImage(options, reference, wanted ?? options.platform),
  };
  const image = await store.parts.marks.bringing(async () => {
    for (const index of needed) {
      const stage = file.stages[index]!;
      const stagePlatform = stage.platform
        ? expandIn(file, stage, stage.platform, globals, args, dockerfile.name)
        : undefined;
      const builder = new StageBuilder(
        environment,
        new StageScope(args, globals),
        parsePlatform(stagePlatform ?? options.platform),
      );
      const begin = (text: string): void => progress({ type: 'step', index: ++step, total, text });
      begin(`FROM ${bases[index]}${stage.name ? ` AS ${stage.name}` : ''}`);
      const earlier = stageIndex(file, bases[index]!, index);
      await builder.from(
        stage.line,
        bases[index]!,
        earlier === undefined ? undefined : results.get(earlier),
        stagePlatform,
      );
      for (const instruction of stage.instructions) {
        begin(instruction.text);
        await builder.step(instruction);
      }
      results.set(index, builder.result());
    }
    const config = results.get(last)!.configFile(options.labels ?? {});
    const manifest = manifestOf(
      config,
      results.get(last)!.layers.map((layer) => layer.descriptor),
    );
    return store.add(config, manifest, options.tags.map(parseReference));
  });
  for (const name of args.unused()) progress({ type: 'warning', text: `build argument ${name} was not used` });
  return image;
}

function expandIn(
  file: Dockerfile,
  { line }: Stage,
  text: string,
  globals: ReadonlyMap<string, string>,
  args: BuildArguments,
  name: string,
): string {
  const word = atLine(line, name, () => expandWord(text, (n) => globals.get(n) ?? args.platform(n), file.escapeChar));
  if (word === '') throw new DockerfileError(line, `base name (${text}) should not be blank`, name);
  return word;
}

function targetOf(file: Dockerfile, target: string | undefined): number {
  if (target === undefined) return file.stages.length - 1;
  const index = stageIndex(file, target, file.stages.length);
  if (index === undefined) throw new Error(`target stage ${target} could not be found`);
  return index;
}

/** A stage before `limit` by its name or number. */
function stageIndex(file: Dockerfile, name: string, limit: number): number | undefined {
  const named = file.stages.findIndex((stage) => stage.name === name.toLowerCase());
  const index = named >= 0 ? named : /^\d+$/.test(name) ? Number(name) : -1;
  return index >= 0 && index < limit ? index : undefined;
}

/** The stages that `last` stands on or copies from, in order. */
function neededStages(file: Dockerfile, bases: readonly string[], last: number): readonly number[] {
  const needed = new Set<number>();
  const visit = (index: number): void => {
    if (needed.has(index)) return;
    needed.add(index);
    const stage = file.stages[index]!;
    const names = [bases[index]!, ...stage.instructions.flatMap(({ flags }) => (flags.from ? [flags.from] : []))];
    for (const name of names) {
      const other = stageIndex(file, name, index);
      if (other !== undefined) visit(other);
    }
  };
  visit(last);
  return [...needed].sort((a, b) => a - b);
}

async function resolveImage({ store, pull }: BuildOptions, reference: string, platform: string): Promise<Image> {
  return (await store.find(reference)) ?? pull(reference, platform);
}
