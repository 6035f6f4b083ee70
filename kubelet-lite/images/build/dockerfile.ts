import { ExpansionError, splitWords } from './expand.js';
import { DockerfileError, type Heredoc, splitDockerfile } from './lines.js';

/** One instruction as it is written; words are expanded when it is carried out. */
export interface Instruction {
  readonly line: number;
  /** In capitals. */
  readonly keyword: Keyword;
  readonly flags: Readonly<Record<string, string>>;
  /** What follows keyword and flags. */
  readonly rest: string;
  /** The exec form, where `rest` is a JSON array of strings. */
  readonly exec?: readonly string[];
  readonly heredocs: readonly Heredoc[];
  /** As shown while it is carried out. */
  readonly text: string;
}

export interface Stage {
  readonly line: number;
  readonly name?: string;
  /** Before expansion. */
  readonly base: string;
  readonly platform?: string;
  readonly instructions: readonly Instruction[];
}

export interface Dockerfile {
  readonly escapeChar: string;
  /** ARG before the first FROM. */
  readonly globals: readonly Instruction[];
  readonly stages: readonly Stage[];
}

const FLAGS = {
  ADD: ['chown', 'chmod', 'checksum', 'link', 'keep-git-dir', 'exclude'],
  ARG: [],
  CMD: [],
  COPY: ['from', 'chown', 'chmod', 'link', 'exclude', 'parents'],
  ENTRYPOINT: [],
  ENV: [],
  EXPOSE: [],
  FROM: ['platform'],
  HEALTHCHECK: ['interval', 'timeout', 'start-period', 'start-interval', 'retries'],
  LABEL: [],
  MAINTAINER: [],
  ONBUILD: [],
  RUN: ['mount', 'network', 'security'],
  SHELL: [],
  STOPSIGNAL: [],
  USER: [],
  VOLUME: [],
  WORKDIR: [],
} as const;

export type Keyword = keyof typeof FLAGS;

const JSON_FORMS: readonly Keyword[] = ['ADD', 'CMD', 'COPY', 'ENTRYPOINT', 'RUN', 'SHELL', 'VOLUME'];

/** Parses a Dockerfile. Throws a {@link DockerfileError} that names the line. */
export function parseDockerfile(source: string, file = 'Dockerfile'): Dockerfile {
  try {
    return parse(source);
  } catch (error) {
    if (error instanceof DockerfileError)
      throw new DockerfileError(error.line, error.message.replace(/^Dockerfile:\d+: /, ''), file);
    throw error;
  }
}

function parse(source: string): Dockerfile {
  const { escapeChar, lines } = splitDockerfile(source);
  const globals: Instruction[] = [];
  const stages: (Stage & { instructions: Instruction[] })[] = [];
  for (const { line, text, heredocs } of lines) {
    const instruction = parseInstruction(text, line, heredocs, escapeChar);
    if (instruction.keyword === 'FROM') {
      stages.push(stageOf(instruction, stages));
    } else if (stages.length > 0) {
      stages.at(-1)!.instructions.push(instruction);
    } else if (instruction.keyword === 'ARG') {
      globals.push(instruction);
    } else {
      throw new DockerfileError(line, 'no build stage in current context: only ARG may come before FROM');
    }
  }
  if (stages.length === 0) throw new DockerfileError(1, 'file with no instructions: at least FROM is needed');
  return { escapeChar, globals, stages };
}

/** Also for the triggers of base images, which are text. */
export function parseInstruction(
  text: string,
  line: number,
  heredocs: readonly Heredoc[] = [],
  escapeChar = '\\',
): Instruction {
  const word = /^\S+/.exec(text)![0];
  const keyword = word.toUpperCase() as Keyword;
  if (!(keyword in FLAGS)) throw new DockerfileError(line, `unknown instruction: ${word}`);
  let rest = text.slice(word.length).trim();
  const flags: Record<string, string> = {};
  for (let match = /^--([a-z-]+)(?:=("[^"]*"|\S*))?(?:\s+|$)/.exec(rest); match; ) {
    const [whole, name = '', value] = match;
    if (!(FLAGS[keyword] as readonly string[]).includes(name))
      throw new DockerfileError(line, `unknown flag: --${name} of ${keyword}`);
    const plain = value?.replace(/^"(.*)"$/, '$1') ?? 'true';
    flags[name] = name in flags ? `${flags[name]}\n${plain}` : plain;
    rest = rest.slice(whole.length);
    match = /^--([a-z-]+)(?:=("[^"]*"|\S*))?(?:\s+|$)/.exec(rest);
  }
  if (rest === '' && keyword !== 'CMD' && keyword !== 'ENTRYPOINT')
    throw new DockerfileError(line, `${keyword} requires at least one argument`);
  const exec = JSON_FORMS.includes(keyword) ? execForm(rest) : undefined;
  const instruction: Instruction = {
    line,
    keyword,
    flags,
    rest,
    ...(exec ? { exec } : {}),
    heredocs,
    text: `${keyword} ${text.slice(word.length).trim()}`,
  };
  check(instruction, escapeChar);
  return instruction;
}

function execForm(rest: string): readonly string[] | undefined {
  if (!rest.startsWith('[')) return undefined;
  try {
    const value = JSON.parse(rest) as unknown;
    if (Array.isArray(value) && value.every((item) => typeof item === 'string')) return value;
  } catch {
    // A shell may begin with a bracket, too.
  }
  return undefined;
}

function check(instruction: Instruction, escapeChar: string): void {
  const { keyword, line, rest, exec, heredocs, flags } = instruction;
  const fail = (problem: string): never => {
    throw new DockerfileError(line, problem);
  };
  const words = exec ?? splitWords(rest, escapeChar);
  switch (keyword) {
    case 'SHELL':
      if (exec === undefined || exec.length === 0) fail('SHELL requires the arguments to be in JSON form');
      break;
    case 'COPY':
    case 'ADD':
      if (words.length < 2)
        fail(`${keyword} requires at least two arguments, but only one was provided: a destination is missing`);
      if (heredocs.length > words.length - 1) fail(`${keyword} cannot have a heredoc as its destination`);
      break;
    case 'WORKDIR':
    case 'USER':
    case 'STOPSIGNAL':
      if (words.length !== 1) fail(`${keyword} requires exactly one argument`);
      break;
    case 'ONBUILD': {
      const trigger = /^\S+/.exec(rest)?.[0]?.toUpperCase();
      if (trigger === 'ONBUILD') fail("chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed");
      if (trigger === 'FROM' || trigger === 'MAINTAINER') fail(`${trigger} isn't allowed as an ONBUILD trigger`);
      parseInstruction(rest, line, heredocs, escapeChar);
      break;
    }
    case 'ENV':
    case 'LABEL':
      pairsOf(instruction, escapeChar);
      break;
    case 'RUN':
      if (flags.security && flags.security !== 'sandbox')
        fail(`--security=${flags.security} is not supported: builds have no more privileges than pods`);
      if (flags.network && !['default', 'none', 'host'].includes(flags.network))
        fail(`--network=${flags.network} is not supported: it is default, none or host`);
      break;
    default:
  }
}

/** `key=value …`, or the older `key value` of a single one. Values are not yet expanded. */
export function pairsOf(
  { keyword, rest, line }: Instruction,
  escapeChar: string,
): readonly (readonly [string, string])[] {
  const words = splitWords(rest, escapeChar);
  if (!/^[^\s"']*=|^["'][^"']+["']=/.test(words[0] ?? '')) {
    const [, name, value] = /^(\S+)\s+(.*)$/s.exec(rest) ?? [];
    if (name === undefined) throw new DockerfileError(line, `${keyword} must have two arguments`);
    return [[name, value!]];
  }
  return words.map((word) => {
    const at = word.indexOf('=');
    if (at < 0)
      throw new DockerfileError(line, `Syntax error - can't find = in "${word}". Must be of the form: name=value`);
    if (at === 0) throw new DockerfileError(line, `${keyword} names can not be blank`);
    return [word.slice(0, at), word.slice(at + 1)];
  });
}

function stageOf(
  { line, rest, flags }: Instruction,
  before: readonly Stage[],
): Stage & { instructions: Instruction[] } {
  const words = rest.split(/\s+/);
  const named = words.length === 3 && words[1]!.toUpperCase() === 'AS';
  if (words.length !== 1 && !named) throw new DockerfileError(line, 'FROM requires either one or three arguments');
  const name = words[2]?.toLowerCase();
  if (name !== undefined && !/^[a-z][a-z0-9-_.]*$/.test(name))
    throw new DockerfileError(
      line,
      `invalid name for build stage: "${words[2]}", name can't start with a number or contain symbols`,
    );
  if (name !== undefined && before.some((stage) => stage.name === name))
    throw new DockerfileError(line, `duplicate name for build stage: "${name}"`);
  return {
    line,
    base: words[0]!,
    ...(name === undefined ? {} : { name }),
    ...(flags.platform ? { platform: flags.platform } : {}),
    instructions: [],
  };
}

/** Runs `work`, giving what goes wrong in it the instruction's line. */
export function atLine<T>(line: number, file: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof ExpansionError) throw new DockerfileError(line, error.message, file);
    throw error;
  }
}
