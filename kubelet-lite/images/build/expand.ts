/** Value of a variable; undefined when it is not set. */
export type Lookup = (name: string) => string | undefined;

export class ExpansionError extends Error {
  override name = 'ExpansionError';
}

/**
 * A word of an instruction as Docker's shell lexer reads it: quotes removed, escapes resolved, and `$name`, `${name}`,
 * `${name:-word}`, `${name-word}`, `${name:+word}`, `${name+word}`, `${name:?word}`, `${name#pattern}`, `##`, `%`, `%%`,
 * `${name/pattern/text}` and `//` replaced. Nothing is replaced in single quotes.
 */
export function expandWord(text: string, lookup: Lookup, escapeChar = '\\'): string {
  return new Lexer(text, lookup, escapeChar).word();
}

/** The same for text that is no word: quotes stay (heredocs). */
export function expandText(text: string, lookup: Lookup, escapeChar = '\\'): string {
  return new Lexer(text, lookup, escapeChar).plain();
}

class Lexer {
  readonly #text: string;
  readonly #lookup: Lookup;
  readonly #escapeChar: string;
  #at = 0;

  constructor(text: string, lookup: Lookup, escapeChar: string) {
    this.#text = text;
    this.#lookup = lookup;
    this.#escapeChar = escapeChar;
  }

  word(end?: string): string {
    let out = '';
    while (this.#at < this.#text.length) {
      const char = this.#text[this.#at]!;
      if (char === end) break;
      this.#at++;
      if (char === "'") out += this.#single();
      else if (char === '"') out += this.#double();
      else if (char === this.#escapeChar) out += this.#text[this.#at++] ?? '';
      else if (char === '$') out += this.#variable();
      else out += char;
    }
    return out;
  }

  plain(): string {
    let out = '';
    while (this.#at < this.#text.length) {
      const char = this.#text[this.#at++]!;
      if (char === this.#escapeChar && '$\\'.includes(this.#text[this.#at] ?? ' ')) out += this.#text[this.#at++];
      else if (char === '$') out += this.#variable();
      else out += char;
    }
    return out;
  }

  #single(): string {
    const end = this.#text.indexOf("'", this.#at);
    if (end < 0) throw new ExpansionError('unexpected end of statement while looking for matching single-quote');
    const inside = this.#text.slice(this.#at, end);
    this.#at = end + 1;
    return inside;
  }

  #double(): string {
    let out = '';
    for (;;) {
      const char = this.#text[this.#at++];
      if (char === undefined)
        throw new ExpansionError('unexpected end of statement while looking for matching double-quote');
      if (char === '"') return out;
      if (char === '$') out += this.#variable();
      else if (char === this.#escapeChar && `"$${this.#escapeChar}`.includes(this.#text[this.#at] ?? ' '))
        out += this.#text[this.#at++];
      else out += char;
    }
  }

  #variable(): string {
    const rest = this.#text.slice(this.#at);
    const plain = /^([A-Za-z_]\w*|\d|[@*#])/.exec(rest)?.[0];
    if (plain !== undefined) {
      this.#at += plain.length;
      return this.#lookup(plain) ?? '';
    }
    if (rest[0] !== '{') return '$';
    const [opening, name] = /^\{([A-Za-z_]\w*|\d+)/.exec(rest) ?? [];
    if (opening === undefined) throw new ExpansionError(`bad substitution: $${rest.slice(0, 20)}`);
    this.#at += opening.length;
    const value = this.#lookup(name!);
    const operator = /^(:[-+?]|##|%%|\/\/|[-+?#%/])/.exec(this.#text.slice(this.#at))?.[0] ?? '';
    this.#at += operator.length;
    const operand = operator.startsWith('/') ? this.word('/') : this.word('}');
    let replacement = '';
    if (operator.startsWith('/') && this.#text[this.#at] === '/') {
      this.#at++;
      replacement = this.word('}');
    }
    if (this.#text[this.#at] !== '}') throw new ExpansionError(`syntax error: missing '}' after \${${name}`);
    if (operator === '' && operand !== '') throw new ExpansionError(`unsupported modifier in \${${name}${operand}}`);
    this.#at++;
    return apply(name!, operator, value, operand, replacement);
  }
}

function apply(
  name: string,
  operator: string,
  value: string | undefined,
  operand: string,
  replacement: string,
): string {
  const given = operator.startsWith(':') ? value !== undefined && value !== '' : value !== undefined;
  switch (operator.replace(':', '')) {
    case '':
      return value ?? '';
    case '-':
      return given ? value! : operand;
    case '+':
      return given ? operand : '';
    case '?':
      if (!given) throw new ExpansionError(`${name}: ${operand || 'not set'}`);
      return value!;
    case '#':
      return strip(value ?? '', operand, 'start', 'shortest');
    case '##':
      return strip(value ?? '', operand, 'start', 'longest');
    case '%':
      return strip(value ?? '', operand, 'end', 'shortest');
    case '%%':
      return strip(value ?? '', operand, 'end', 'longest');
    case '/':
      return (value ?? '').replace(new RegExp(shellPattern(operand)), () => replacement);
    default:
      return (value ?? '').replace(new RegExp(shellPattern(operand), 'g'), () => replacement);
  }
}

const shellPattern = (pattern: string): string =>
  pattern
    .replace(/[.+^${}()|[\]\\]/g, '\\$&')
    .replace(/\*/g, '.*')
    .replace(/\?/g, '.');

function strip(value: string, pattern: string, side: 'start' | 'end', which: 'shortest' | 'longest'): string {
  const regex = new RegExp(`^${shellPattern(pattern)}$`, 's');
  const lengths = [...Array(value.length + 1).keys()];
  for (const length of which === 'shortest' ? lengths : lengths.reverse()) {
    const part = side === 'start' ? value.slice(0, length) : value.slice(value.length - length);
    if (regex.test(part)) return side === 'start' ? value.slice(length) : value.slice(0, value.length - length);
  }
  return value;
}

/** Splits at blanks outside quotes; quotes and escapes stay, for {@link expandWord} to resolve. */
export function splitWords(text: string, escapeChar = '\\'): readonly string[] {
  const words: string[] = [];
  let word = '';
  let inside = false;
  for (let at = 0; at < text.length; at++) {
    const char = text[at]!;
    if (/\s/.test(char)) {
      if (inside) words.push(word);
      word = '';
      inside = false;
      continue;
    }
    inside = true;
    if (char === escapeChar) word += char + (text[++at] ?? '');
    else if (char === '"' || char === "'") {
      const begin = at;
      for (at++; at < text.length && text[at] !== char; at++) if (text[at] === escapeChar && char === '"') at++;
      word += text.slice(begin, at + 1);
    } else word += char;
  }
  return inside ? [...words, word] : words;
}
