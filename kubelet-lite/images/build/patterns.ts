/** A pattern of Go's filepath.Match, with `**` for any number of directories where `deep`. */
export function patternRegex(pattern: string, deep: boolean): RegExp {
  let out = '';
  for (let at = 0; at < pattern.length; at++) {
    const char = pattern[at]!;
    if (char === '*' && pattern[at + 1] === '*' && deep) {
      at++;
      if (pattern[at + 1] === '/') {
        at++;
        out += '(?:.*/)?';
      } else out += '.*';
    } else if (char === '*') out += '[^/]*';
    else if (char === '?') out += '[^/]';
    else if (char === '[') {
      const end = pattern.indexOf(']', at + 2);
      if (end < 0) throw new Error(`syntax error in pattern ${pattern}`);
      out += pattern.slice(at, end + 1);
      at = end;
    } else if (char === '\\' && at + 1 < pattern.length) out += escaped(pattern[++at]!);
    else out += escaped(char);
  }
  return new RegExp(`^${out}$`, 's');
}

const escaped = (char: string): string => char.replace(/[.+^${}()|[\]\\*?/-]/, '\\$&');

/** Whether a path, relative and without a leading slash, is left out of a build. */
export type Ignore = (path: string) => boolean;

/** Reads a `.dockerignore`: the last pattern that fits a path or a directory above it decides; `!` takes back. */
export function parseIgnore(text: string): Ignore & { readonly hasExceptions: boolean } {
  const rules = text
    .split(/\r?\n/)
    .filter((line) => !line.startsWith('#') && line.trim() !== '')
    .map((line) => {
      const trimmed = line.trim();
      const except = trimmed.startsWith('!');
      const clean = (except ? trimmed.slice(1).trim() : trimmed)
        .split('/')
        .filter((part) => part !== '' && part !== '.');
      return { except, regex: patternRegex(clean.join('/'), true) };
    });
  const ignore = (path: string): boolean => {
    const parts = path.split('/');
    const above = parts.map((_, index) => parts.slice(0, index + 1).join('/'));
    let ignored = false;
    for (const { except, regex } of rules)
      if (ignored === except && above.some((prefix) => regex.test(prefix))) ignored = !except;
    return ignored;
  };
  return Object.assign(ignore, { hasExceptions: rules.some((rule) => rule.except) });
}
