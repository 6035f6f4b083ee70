/** One challenge of a `WWW-Authenticate` header (RFC 9110 section 11.6.1), its scheme in lower case. */
export interface Challenge {
  readonly scheme: string;
  readonly parameters: Readonly<Record<string, string>>;
}

const TOKEN = /[!#$%&'*+.^_`|~0-9A-Za-z-]+/y;
const PARAMETER = /\s*,?\s*([!#$%&'*+.^_`|~0-9A-Za-z-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))/y;

/** All challenges of a header, in order; what cannot be read ends the list. */
export function parseChallenges(header: string): readonly Challenge[] {
  const found: Challenge[] = [];
  let at = 0;
  while (at < header.length) {
    at += /^[\s,]*/.exec(header.slice(at))![0].length;
    TOKEN.lastIndex = at;
    const scheme = TOKEN.exec(header)?.[0];
    if (scheme === undefined) break;
    at += scheme.length;
    const parameters: Record<string, string> = {};
    for (;;) {
      PARAMETER.lastIndex = at;
      const match = PARAMETER.exec(header);
      if (match === null) break;
      parameters[match[1]!.toLowerCase()] = match[2]?.replace(/\\(.)/g, '$1') ?? match[3]!;
      at = PARAMETER.lastIndex;
    }
    found.push({ scheme: scheme.toLowerCase(), parameters });
  }
  return found;
}
