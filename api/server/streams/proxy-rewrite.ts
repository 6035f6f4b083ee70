import type { OutgoingHttpHeaders } from 'node:http';
import { Transform } from 'node:stream';

/**
 * Pages behind a proxy think that they are at the root of their own host: links to that root are made to lead through the
 * proxy again (apimachinery: util/proxy/transport.go).
 */
export interface ProxyRoot {
  /** `/api/v1/namespaces/<namespace>/pods/<name>/proxy` */
  readonly prefix: string;
  /** `host[:port]` as the page knows it. */
  readonly host: string;
}

/** The link as it must be; relative ones and those to other hosts stay. */
export function rewriteLink(link: string, { prefix, host }: ProxyRoot): string {
  const absolute = /^https?:\/\/([^/?#]*)(.*)$/is.exec(link);
  if (absolute)
    return absolute[1] === host ? `${prefix}${absolute[2]!.startsWith('/') ? '' : '/'}${absolute[2]}` : link;
  if (!link.startsWith('/') || link.startsWith('//')) return link;
  return link === prefix || link.startsWith(`${prefix}/`) ? link : `${prefix}${link}`;
}

export function rewriteHeaders(headers: OutgoingHttpHeaders, root: ProxyRoot): OutgoingHttpHeaders {
  const { location } = headers;
  return typeof location === 'string' ? { ...headers, location: rewriteLink(location, root) } : headers;
}

const attribute = /([^\s"'<>/=]+)(\s*=\s*)("[^"]*"|'[^']*'|[^\s"'>]+)/g;
const links: ReadonlySet<string> = new Set(
  'action background cite classid codebase data formaction href icon longdesc manifest poster profile src usemap'.split(
    ' ',
  ),
);
/** A tag longer than this is passed on as it is. */
const longestTag = 64 * 1024;

/** Rewrites the links of HTML on its way through. Tags may be torn by chunks, so an open one waits for its end. */
export function linkRewriter(root: ProxyRoot): Transform {
  let held = '';
  const rewrite = (html: string) =>
    html.replace(/<[a-z][^>]*>/gi, (tag) =>
      tag.replace(attribute, (whole, name: string, equals: string, value: string) => {
        if (!links.has(name.toLowerCase())) return whole;
        const quote = value[0] === '"' || value[0] === "'" ? value[0] : '';
        const link = quote ? value.slice(1, -1) : value;
        return `${name}${equals}${quote}${rewriteLink(link, root)}${quote}`;
      }),
    );
  return new Transform({
    // Latin-1 gives every byte a character, whatever the page's own encoding is; the tags are ASCII in all of them.
    transform(chunk: Buffer, _encoding, done) {
      const html = held + chunk.toString('latin1');
      const open = html.lastIndexOf('<');
      const torn = open >= 0 && !html.includes('>', open) && html.length - open < longestTag;
      held = torn ? html.slice(open) : '';
      done(null, Buffer.from(rewrite(torn ? html.slice(0, open) : html), 'latin1'));
    },
    flush(done) {
      done(null, Buffer.from(rewrite(held), 'latin1'));
    },
  });
}
