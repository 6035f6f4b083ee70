import { badRequest } from '@trimtab/machinery';

export interface ProxyName {
  readonly scheme: 'http' | 'https';
  readonly name: string;
  /** A number, a port's name, or `""`. */
  readonly port: string;
}

/** `name`, `name:port`, `scheme:name:port` or `scheme:name:` (apimachinery: util/net SplitSchemeNamePort). */
export function parseProxyName(text: string): ProxyName {
  const parts = text.split(':');
  const [scheme, name, port] =
    parts.length === 1 ? ['', parts[0]!, ''] : parts.length === 2 ? ['', parts[0]!, parts[1]!] : parts;
  const known = scheme === '' || scheme === 'http' || scheme === 'https';
  if (parts.length > 3 || !known || !name) throw badRequest(`invalid proxy target ${JSON.stringify(text)}`);
  return { scheme: scheme === 'https' ? 'https' : 'http', name, port: port ?? '' };
}

/** A port given as its number. */
export function portNumber(text: string): number | undefined {
  const port = Number(text);
  return /^\d+$/.test(text) && port > 0 && port < 65536 ? port : undefined;
}

/** Where a proxied resource lies: its own path up to and including `/proxy`, and what comes after it, as the client wrote it. */
export function splitProxyPath(url: string): { readonly prefix: string; readonly rest: string } {
  // /api/v1/nodes/<name>/proxy, or /api/v1/namespaces/<namespace>/<resource>/<name>/proxy.
  const prefix = /^\/*api\/+v1\/+(?:nodes\/+[^/]+|namespaces\/+[^/]+\/+[^/]+\/+[^/]+)\/+proxy/.exec(url)?.[0] ?? '';
  return { prefix, rest: url.slice(prefix.length) };
}
