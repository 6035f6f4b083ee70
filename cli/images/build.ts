import { randomBytes } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { type BuildProgress, buildImage, parseReference } from '@trimtab/kubelet-lite';
import { coreBinary } from '../core-binary.js';
import { CliError } from '../errors.js';
import { pathsOf } from '../paths.js';
import { credentialsOf } from './credentials.js';
import { architecture, openImages, type RegistryFlags } from './open.js';

export interface BuildFlags extends RegistryFlags {
  readonly tag: readonly string[];
  readonly file?: string;
  readonly buildArg: readonly string[];
  readonly label: readonly string[];
  readonly target?: string;
  /** False with --no-cache. */
  readonly cache: boolean;
  readonly network: 'host' | 'none';
  readonly platform?: string;
  readonly pull?: boolean;
  readonly quiet?: boolean;
}

/** Builds a Dockerfile into the images of this machine. */
export async function build(context: string, flags: BuildFlags): Promise<void> {
  const contextDirectory = resolve(context);
  if (!(await stat(contextDirectory).catch(() => undefined))?.isDirectory())
    throw new CliError(`${context}: no such directory; a build needs the directory its files are in`);
  if (process.getuid?.() !== 0) throw new CliError('a build needs root: run it with sudo');
  const name = flags.file ?? join(contextDirectory, 'Dockerfile');
  const text = await dockerfileText(name, contextDirectory, flags.file === undefined);
  const args = Object.fromEntries(flags.buildArg.map(pairOrEnvironment));
  const epoch = args.SOURCE_DATE_EPOCH ?? process.env.SOURCE_DATE_EPOCH;
  if (epoch !== undefined && !/^\d+$/.test(epoch))
    throw new CliError(`SOURCE_DATE_EPOCH=${epoch}: seconds are expected`);
  const store = await openImages(flags);
  const pull = async (reference: string, platform: string) => {
    const parsed = parseReference(reference);
    return (await openImages(flags, parsed)).pull(reference, {
      credentials: await credentialsOf(flags, parsed),
      platform,
    });
  };
  if (flags.pull) for (const base of basesOf(text)) await pull(base, flags.platform ?? architecture());
  const aborter = new AbortController();
  const abort = (): void => aborter.abort();
  process.once('SIGINT', abort);
  try {
    const image = await buildImage({
      store,
      coreBinary,
      hostArchitecture: architecture(),
      directory: pathsOf(resolve(flags.dataDir)).images,
      now: Date.now,
      uniqueId: () => randomBytes(6).toString('hex'),
      ...(epoch === undefined ? {} : { sourceDateEpoch: Number(epoch) }),
      noCache: !flags.cache,
      network: flags.network,
      pull,
      progress: flags.quiet ? () => {} : showBuild(process.stderr),
      signal: aborter.signal,
      contextDirectory,
      dockerfile: { text, name: flags.file ?? 'Dockerfile' },
      ignore: await ignoreText(name, contextDirectory),
      tags: flags.tag,
      arguments: args,
      ...(flags.target === undefined ? {} : { target: flags.target }),
      platform: flags.platform ?? `linux/${architecture()}`,
      labels: Object.fromEntries(flags.label.map(pairOrEnvironment)),
    }).catch((error: Error) => {
      throw ['DockerfileError', 'CopyError', 'LayerError', 'ManifestError'].includes(error.name)
        ? new CliError(error.message)
        : error;
    });
    console.log(flags.quiet ? image.id : `built ${flags.tag.join(', ') || image.id}`);
  } finally {
    process.removeListener('SIGINT', abort);
  }
}

async function dockerfileText(file: string, context: string, byDefault: boolean): Promise<string> {
  if (file === '-') {
    const chunks: Buffer[] = [];
    for await (const chunk of process.stdin) chunks.push(chunk as Buffer);
    return Buffer.concat(chunks).toString('utf8');
  }
  const text = await readFile(file, 'utf8').catch(() => undefined);
  if (text !== undefined) return text;
  const other = byDefault ? await readFile(join(context, 'Containerfile'), 'utf8').catch(() => undefined) : undefined;
  if (other === undefined) throw new CliError(`${file}: no such file; name another with -f`);
  return other;
}

/** `<dockerfile>.dockerignore` goes before the context's own. */
async function ignoreText(dockerfile: string, context: string): Promise<string> {
  for (const file of [
    `${dockerfile}.dockerignore`,
    join(context, '.dockerignore'),
    join(context, '.containerignore'),
  ]) {
    const text = await readFile(file, 'utf8').catch(() => undefined);
    if (text !== undefined) return text;
  }
  return '';
}

/** `NAME=value`, or `NAME` for its value in the environment. */
function pairOrEnvironment(text: string): [string, string] {
  const at = text.indexOf('=');
  return at < 0 ? [text, process.env[text] ?? ''] : [text.slice(0, at), text.slice(at + 1)];
}

const basesOf = (text: string): readonly string[] => {
  const froms = [...text.matchAll(/^\s*FROM\s+(?:--\S+\s+)*(\S+)(?:\s+AS\s+(\S+))?/gim)];
  const names = new Set(froms.map((match) => match[2]));
  return froms
    .map((match) => match[1]!)
    .filter((base) => base !== 'scratch' && !names.has(base) && !base.includes('$'));
};

/** A heading a step; what commands print follows it. On a terminal headings stand out. */
function showBuild(stream: NodeJS.WriteStream): BuildProgress {
  const [bold, dim, plain] = stream.isTTY ? ['\x1b[1m', '\x1b[2m', '\x1b[0m'] : ['', '', ''];
  return (event) => {
    switch (event.type) {
      case 'step':
        stream.write(`${bold}[${event.index}/${event.total}]${plain} ${event.text.split('\n')[0]}\n`);
        break;
      case 'cached':
        stream.write(`${dim}      as before${plain}\n`);
        break;
      case 'output':
        stream.write(event.chunk);
        break;
      case 'warning':
        stream.write(`warning: ${event.text}\n`);
        break;
    }
  };
}
