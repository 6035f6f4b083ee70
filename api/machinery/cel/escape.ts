/** Field names as expressions can write them (kubernetes/apiserver pkg/cel escaping). */

const KEYWORDS = new Set(
  'true false null in as break const continue else for function if import let loop package namespace return var void while'.split(
    ' ',
  ),
);
const SYMBOLS: Readonly<Record<string, string>> = {
  __: '__underscores__',
  '.': '__dot__',
  '-': '__dash__',
  '/': '__slash__',
};
const NAMES = Object.fromEntries(Object.entries(SYMBOLS).map(([symbol, name]) => [name, symbol]));

/** The name a rule uses for a field; undefined where it has none. */
export function escapeField(name: string): string | undefined {
  if (!/^[A-Za-z_][A-Za-z0-9_.\-/]*$/.test(name)) return undefined;
  if (KEYWORDS.has(name)) return `__${name}__`;
  return name.replaceAll(/__|[.\-/]/g, (symbol) => SYMBOLS[symbol]!);
}

/** The field a name in a rule stands for; undefined where it stands for none. */
export function unescapeField(name: string): string | undefined {
  const keyword = /^__([a-z]+)__$/.exec(name)?.[1];
  if (keyword !== undefined && KEYWORDS.has(keyword)) return keyword;
  const text = name.replaceAll(/__(underscores|dot|dash|slash)__/g, (escaped) => NAMES[escaped]!);
  return escapeField(text) === name ? text : undefined;
}
