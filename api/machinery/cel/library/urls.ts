import { type Definition, traverse } from '../overload.js';
import { CelError, CelOpaque, NativeList, NativeMap } from '../values.js';

class UrlValue extends CelOpaque {
  override readonly type = 'kubernetes.URL';
  constructor(
    readonly text: string,
    readonly scheme: string,
    readonly host: string,
    readonly path: string,
    readonly query: string,
  ) {
    super();
  }
  override equals(other: CelOpaque): boolean {
    return other instanceof UrlValue && other.text === this.text;
  }
}

const SYNTAX = /^(?:([A-Za-z][A-Za-z0-9+.-]*):)?(?:\/\/(?:[^@/?]*@)?([^/?]*))?([^?]*)(?:\?(.*))?$/s;
const HOST = /^(?:\[[0-9A-Fa-f:.]+(?:%25[^\]]+)?\]|[^\s<>"{}|\\^`[\]:]*)(?::\d*)?$/;

/** An absolute URI or an absolute path, as Go's `url.ParseRequestURI` takes them. */
function parse(text: string): UrlValue {
  const wrong = (why: string) =>
    new CelError(`URL parse error during conversion from string: parse ${JSON.stringify(text)}: ${why}`);
  if (text === '') throw wrong('empty url');
  if (/(?![\u0080-\u009f])\p{Cc}/u.test(text)) throw wrong('net/url: invalid control character in URL');
  const [, scheme = '', host = '', path = '', query = ''] = SYNTAX.exec(text) ?? [];
  if (scheme === '' && !text.startsWith('/')) throw wrong('invalid URI for request');
  if (text.startsWith('//')) return new UrlValue(text, '', '', text.replace(/\?.*$/s, ''), query);
  if (!HOST.test(host)) throw wrong(`invalid character in host name`);
  const broken = /%(?![0-9A-Fa-f]{2}).{0,2}/.exec(path)?.[0];
  if (broken !== undefined) throw wrong(`invalid URL escape ${JSON.stringify(broken)}`);
  if (scheme !== '' && host === '' && path !== '' && !path.startsWith('/')) throw wrong('invalid URI for request');
  return new UrlValue(text, scheme.toLowerCase(), host, path, query);
}

function holds(text: string): boolean {
  try {
    parse(text);
    return true;
  } catch {
    return false;
  }
}

const hostname = ({ host }: UrlValue): string => host.replace(/:\d*$/, '').replace(/^\[(.*)\]$/, '$1');
const port = ({ host }: UrlValue): string => /:(\d*)$/.exec(host)?.[1] ?? '';
/** What Go leaves as it is in a path; everything else is escaped. */
const escapedPath = ({ path }: UrlValue): string =>
  path.replaceAll(/[^A-Za-z0-9\-._~!$&'()*+,;=:@/%[\]]+/gu, (part) => encodeURIComponent(part));

function query({ query: text }: UrlValue): NativeMap {
  const values = new Map<string, string[]>();
  for (const part of text.split('&')) {
    if (part === '' || part.includes(';')) continue;
    const [key, ...value] = part.split('=');
    try {
      const name = decode(key!);
      values.set(name, [...(values.get(name) ?? []), decode(value.join('='))]);
    } catch {
      // Go leaves out what is badly escaped.
    }
  }
  return new NativeMap([...values].map(([key, list]) => [key, new NativeList(list)] as const));
}
const decode = (text: string): string => decodeURIComponent(text.replaceAll('+', ' '));

const read = { cost: traverse };
const U = 'kubernetes.URL';

/** kubernetes/apiserver pkg/cel/library urls. */
export const urls: readonly Definition[] = [
  [`url(string): ${U}`, parse, read],
  ['isURL(string): bool', holds, read],
  [`${U}.getScheme(): string`, ({ scheme }: UrlValue) => scheme],
  [`${U}.getHost(): string`, ({ host }: UrlValue) => host],
  [`${U}.getHostname(): string`, hostname],
  [`${U}.getPort(): string`, port],
  [`${U}.getEscapedPath(): string`, escapedPath],
  [`${U}.getQuery(): map<string, list<string>>`, query],
  [
    'jsonpatch.escapeKey(string): string',
    (text: string) => text.replaceAll('~', '~0').replaceAll('/', '~1'),
    { cost: traverse, size: (n) => n! * 2 },
  ],
];
