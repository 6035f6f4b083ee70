import type { ImageConfig } from '../image-store.js';
import { type Instruction, pairsOf } from './dockerfile.js';
import { expandWord, type Lookup, splitWords } from './expand.js';
import { DockerfileError } from './lines.js';

/** The execution configuration with what only builds and Docker know of. */
export interface BuildConfig extends ImageConfig {
  readonly Healthcheck?: Readonly<Record<string, unknown>>;
  readonly OnBuild?: readonly string[];
  readonly Shell?: readonly string[];
}

export const DEFAULT_SHELL: readonly string[] = ['/bin/sh', '-c'];

/** A config after an instruction that changes nothing else. Pure; throws a DockerfileError. */
export function configAfter(
  config: BuildConfig,
  instruction: Instruction,
  lookup: Lookup,
  escapeChar: string,
): BuildConfig {
  const { keyword, rest, exec, line } = instruction;
  const expand = (text: string): string => expandWord(text, lookup, escapeChar);
  const words = (): readonly string[] =>
    (exec ?? splitWords(rest, escapeChar)).map(expand).filter((word) => word !== '');
  switch (keyword) {
    case 'ENV': {
      const env = new Map((config.Env ?? []).map(splitPair));
      for (const [name, value] of pairsOf(instruction, escapeChar)) env.set(expand(name), expand(value));
      return { ...config, Env: [...env].map(([name, value]) => `${name}=${value}`) };
    }
    case 'LABEL': {
      const added = pairsOf(instruction, escapeChar).map(([name, value]) => [expand(name), expand(value)] as const);
      return { ...config, Labels: { ...config.Labels, ...Object.fromEntries(added) } };
    }
    case 'CMD':
      return { ...config, Cmd: commandOf(config, instruction) };
    case 'ENTRYPOINT': {
      const { Cmd: _, ...others } = config;
      return { ...others, Entrypoint: commandOf(config, instruction) };
    }
    case 'EXPOSE':
      return {
        ...config,
        ExposedPorts: { ...config.ExposedPorts, ...Object.fromEntries(words().flatMap((w) => portsOf(w, line))) },
      };
    case 'VOLUME':
      return { ...config, Volumes: { ...config.Volumes, ...Object.fromEntries(words().map((path) => [path, {}])) } };
    case 'USER':
      return { ...config, User: expand(rest) };
    case 'WORKDIR':
      return { ...config, WorkingDir: joinPath(config.WorkingDir || '/', expand(rest)) };
    case 'STOPSIGNAL':
      return { ...config, StopSignal: signalOf(expand(rest), line) };
    case 'SHELL':
      return { ...config, Shell: exec! };
    case 'HEALTHCHECK':
      return { ...config, Healthcheck: healthcheckOf(instruction) };
    case 'ONBUILD':
      return { ...config, OnBuild: [...(config.OnBuild ?? []), rest] };
    default:
      return config;
  }
}

export const shellOf = (config: BuildConfig): readonly string[] => config.Shell ?? DEFAULT_SHELL;

const commandOf = (config: BuildConfig, { exec, rest }: Instruction): readonly string[] =>
  exec ?? (rest === '' ? [] : [...shellOf(config), rest]);

export function splitPair(entry: string): [string, string] {
  const at = entry.indexOf('=');
  return at < 0 ? [entry, ''] : [entry.slice(0, at), entry.slice(at + 1)];
}

/** A path relative to another, without `.` and `..`. */
export function joinPath(from: string, to: string): string {
  const parts: string[] = [];
  for (const part of (to.startsWith('/') ? to : `${from}/${to}`).split('/'))
    if (part === '..') parts.pop();
    else if (part !== '' && part !== '.') parts.push(part);
  return `/${parts.join('/')}`;
}

function portsOf(word: string, line: number): [string, object][] {
  const [, first, last, protocol = 'tcp'] = /^(\d+)(?:-(\d+))?(?:\/(\w+))?$/.exec(word) ?? [];
  const from = Number(first);
  const to = Number(last ?? first);
  if (first === undefined || to < from || to > 65535 || !/^(tcp|udp|sctp)$/i.test(protocol))
    throw new DockerfileError(line, `invalid containerPort: ${word}`);
  return Array.from({ length: to - from + 1 }, (_, n) => [`${from + n}/${protocol.toLowerCase()}`, {}]);
}

function signalOf(text: string, line: number): string {
  if (!/^(\d+|[A-Za-z][A-Za-z0-9+-]*)$/.test(text)) throw new DockerfileError(line, `invalid signal: ${text}`);
  return text;
}

const UNITS: Readonly<Record<string, number>> = { ns: 1, us: 1e3, µs: 1e3, ms: 1e6, s: 1e9, m: 60e9, h: 3600e9 };

function nanoseconds(text: string, line: number): number {
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)/g)];
  if (parts.length === 0 || parts.map((p) => p[0]).join('') !== text)
    throw new DockerfileError(line, `invalid duration "${text}"`);
  return parts.reduce((sum, [, value, unit]) => sum + Number(value) * UNITS[unit!]!, 0);
}

function healthcheckOf({ rest, flags, line }: Instruction): Readonly<Record<string, unknown>> {
  const [kind = '', ...words] = rest.split(/\s+/);
  if (kind.toUpperCase() === 'NONE') {
    if (words.length > 0) throw new DockerfileError(line, 'HEALTHCHECK NONE takes no arguments');
    return { Test: ['NONE'] };
  }
  if (kind.toUpperCase() !== 'CMD') throw new DockerfileError(line, `unknown type "${kind}" in HEALTHCHECK (try CMD)`);
  const command = rest.slice(kind.length).trim();
  if (command === '') throw new DockerfileError(line, 'missing command after HEALTHCHECK CMD');
  let exec: unknown;
  try {
    exec = command.startsWith('[') ? JSON.parse(command) : undefined;
  } catch {
    // The shell form.
  }
  const test = Array.isArray(exec) ? ['CMD', ...exec] : ['CMD-SHELL', command];
  const times = {
    interval: 'Interval',
    timeout: 'Timeout',
    'start-period': 'StartPeriod',
    'start-interval': 'StartInterval',
  };
  return {
    Test: test,
    ...Object.fromEntries(
      Object.entries(times).flatMap(([flag, field]) => (flags[flag] ? [[field, nanoseconds(flags[flag], line)]] : [])),
    ),
    ...(flags.retries ? { Retries: Number(flags.retries) } : {}),
  };
}
