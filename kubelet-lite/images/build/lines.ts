/** A mistake in a Dockerfile, at the line it is in; the message names both. */
export class DockerfileError extends Error {
  override name = 'DockerfileError';
  constructor(
    readonly line: number,
    problem: string,
    file = 'Dockerfile',
  ) {
    super(`${file}:${line}: ${problem}`);
  }
}

/** Text between `<<NAME` and `NAME`. */
export interface Heredoc {
  readonly name: string;
  readonly content: string;
  /** False where the name was quoted: the content is taken as it is. */
  readonly expand: boolean;
}

/** One instruction, its continued lines joined. */
export interface LogicalLine {
  /** Of its first line, counted from 1. */
  readonly line: number;
  readonly text: string;
  readonly heredocs: readonly Heredoc[];
}

export interface DockerfileLines {
  /** `\` unless the escape directive says `` ` ``. */
  readonly escapeChar: string;
  readonly lines: readonly LogicalLine[];
}

const DIRECTIVE = /^#\s*([A-Za-z][\w-]*)\s*=\s*(.*?)\s*$/;
const HEREDOC = /<<(-?)\s*(?:"([^"]+)"|'([^']+)'|([A-Za-z_]\w*))/g;
const WITH_HEREDOCS = /^\s*(RUN|COPY|ADD|ONBUILD\s+(?:RUN|COPY|ADD))\s/i;

/** Splits a Dockerfile into instructions: parser directives, comments, continued lines and heredocs. */
export function splitDockerfile(source: string): DockerfileLines {
  const raw = source.replace(/^\uFEFF/, '').split(/\r?\n/);
  const escapeChar = escapeOf(raw);
  const continued = escapeChar === '\\' ? /\\[ \t]*$/ : /`[ \t]*$/;
  const lines: LogicalLine[] = [];
  for (let at = 0; at < raw.length; at++) {
    const first = raw[at]!;
    if (/^\s*(#|$)/.test(first)) continue;
    const line = at + 1;
    let text = first.trimStart();
    while (continued.test(text)) {
      text = text.replace(continued, '');
      at++;
      // Comments and empty lines within an instruction are passed over.
      while (at < raw.length && /^\s*(#|$)/.test(raw[at]!)) at++;
      if (at >= raw.length) break;
      text += raw[at]!;
    }
    const heredocs: Heredoc[] = [];
    if (WITH_HEREDOCS.test(text))
      for (const [, dash, double, single, bare] of text.matchAll(HEREDOC)) {
        const name = double ?? single ?? bare!;
        const content: string[] = [];
        for (at++; at < raw.length; at++) {
          const own = dash ? raw[at]!.replace(/^\t+/, '') : raw[at]!;
          if (own === name) break;
          content.push(own);
        }
        if (at >= raw.length) throw new DockerfileError(line, `unterminated heredoc: ${name} is missing`);
        heredocs.push({ name, content: content.map((l) => `${l}\n`).join(''), expand: bare !== undefined });
      }
    lines.push({ line, text: text.trimEnd(), heredocs });
  }
  return { escapeChar, lines };
}

/** Directives stand before everything else, comments included. */
function escapeOf(raw: readonly string[]): string {
  const seen = new Set<string>();
  for (const [at, line] of raw.entries()) {
    const [, name, value] = DIRECTIVE.exec(line) ?? [];
    if (name === undefined) break;
    const key = name.toLowerCase();
    if (!['escape', 'syntax', 'check'].includes(key)) break;
    if (seen.has(key)) throw new DockerfileError(at + 1, `only one ${key} parser directive can be used`);
    seen.add(key);
    if (key !== 'escape') continue;
    if (value !== '\\' && value !== '`')
      throw new DockerfileError(at + 1, `invalid escape token '${value}': it is \\ or \``);
    return value;
  }
  return '\\';
}
