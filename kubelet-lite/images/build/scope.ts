import type { Platform } from '../manifest.js';
import type { BuildConfig } from './config.js';
import { splitPair } from './config.js';
import { atLine, type Dockerfile, type Instruction } from './dockerfile.js';
import { expandWord, splitWords } from './expand.js';

/** Arguments every RUN sees when they are given, without an ARG; never part of a cache key. */
const PROXIES = ['HTTP_PROXY', 'HTTPS_PROXY', 'FTP_PROXY', 'NO_PROXY', 'ALL_PROXY'].flatMap((name) => [
  name,
  name.toLowerCase(),
]);

/** The values build arguments can take: given ones, and those of the platform. */
export class BuildArguments {
  readonly #given: ReadonlyMap<string, string>;
  readonly #platform: ReadonlyMap<string, string>;
  readonly #used = new Set<string>();

  constructor(given: Readonly<Record<string, string>>, target: Platform) {
    this.#given = new Map(Object.entries(given));
    const { os = 'linux', architecture = '', variant = '' } = target;
    const platform = [os, architecture, ...(variant ? [variant] : [])].join('/');
    this.#platform = new Map(
      ['TARGET', 'BUILD'].flatMap((side) => [
        [`${side}PLATFORM`, platform],
        [`${side}OS`, os],
        [`${side}ARCH`, architecture],
        [`${side}VARIANT`, variant],
      ]),
    );
  }

  given(name: string): string | undefined {
    this.#used.add(name);
    return this.#given.get(name);
  }

  platform(name: string): string | undefined {
    return this.#platform.get(name);
  }

  proxies(): readonly string[] {
    return PROXIES.flatMap((name) => (this.#given.has(name) ? [`${name}=${this.given(name)}`] : []));
  }

  /** Given, and asked for by nothing. */
  unused(): readonly string[] {
    const known = new Set([...PROXIES, 'SOURCE_DATE_EPOCH', ...this.#used]);
    return [...this.#given.keys()].filter((name) => !known.has(name));
  }
}

/** Values of the ARGs before the first FROM, which are those of FROM lines. */
export function globalScope(file: Dockerfile, args: BuildArguments, name: string): ReadonlyMap<string, string> {
  const scope = new Map<string, string>();
  for (const instruction of file.globals)
    atLine(instruction.line, name, () =>
      declare(instruction, scope, args, (n) => scope.get(n) ?? args.platform(n), file.escapeChar),
    );
  return scope;
}

/** Variables of one stage: ARG and ENV, where ENV wins. */
export class StageScope {
  readonly #args: BuildArguments;
  readonly #globals: ReadonlyMap<string, string>;
  readonly #own = new Map<string, string>();

  constructor(args: BuildArguments, globals: ReadonlyMap<string, string>) {
    this.#args = args;
    this.#globals = globals;
  }

  lookup(config: BuildConfig): (name: string) => string | undefined {
    const env = new Map((config.Env ?? []).map(splitPair));
    return (name) => env.get(name) ?? this.#own.get(name);
  }

  declare(instruction: Instruction, config: BuildConfig, escapeChar: string): void {
    const inherited = (name: string): string | undefined => this.#globals.get(name) ?? this.#args.platform(name);
    declare(instruction, this.#own, this.#args, this.lookup(config), escapeChar, inherited);
  }

  /** What RUN sees besides ENV, and what its result depends on. */
  environment(config: BuildConfig): readonly string[] {
    const env = new Set((config.Env ?? []).map((entry) => splitPair(entry)[0]));
    return [...this.#own].filter(([name]) => !env.has(name)).map(([name, value]) => `${name}=${value}`);
  }

  proxies(): readonly string[] {
    return this.#args.proxies();
  }
}

function declare(
  { rest }: Instruction,
  scope: Map<string, string>,
  args: BuildArguments,
  lookup: (name: string) => string | undefined,
  escapeChar: string,
  inherited: (name: string) => string | undefined = (name) => args.platform(name),
): void {
  for (const word of splitWords(rest, escapeChar)) {
    const at = word.indexOf('=');
    const name = at < 0 ? word : word.slice(0, at);
    const fallback = at < 0 ? inherited(name) : expandWord(word.slice(at + 1), lookup, escapeChar);
    const value = args.given(name) ?? fallback;
    if (value !== undefined) scope.set(name, value);
    else scope.delete(name);
  }
}
