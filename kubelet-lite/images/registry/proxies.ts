import { BlockList, isIP } from 'node:net';

/** Through which proxies registries are asked, as the environment variables of these names say it. */
export interface Proxies {
  /** HTTP_PROXY: for registries without TLS. */
  readonly http?: string;
  /** HTTPS_PROXY: for all others. */
  readonly https?: string;
  /**
   * NO_PROXY: hosts that are asked directly, separated by commas: a name (and all below it), `.name` (only below it), an address, a
   * network such as `10.0.0.0/8`, each with or without a port; `*` for all.
   */
  readonly none?: string;
}

/**
 * The proxy through which `url` is asked; undefined: none. This machine itself is always asked directly. Throws where the variable
 * holds no URL of http or https, without quoting it: it may hold a password.
 */
export function proxyFor(url: URL, proxies: Proxies): URL | undefined {
  const secure = url.protocol === 'https:';
  const proxy = secure ? proxies.https : proxies.http;
  if (!proxy || isExempt(url, proxies.none ?? '')) return undefined;
  const text = /^[a-z][a-z0-9+.-]*:\/\//i.test(proxy) ? proxy : `http://${proxy}`;
  if (!URL.canParse(text) || !/^https?:$/.test(new URL(text).protocol))
    throw new Error(`${secure ? 'HTTPS_PROXY' : 'HTTP_PROXY'}: a URL of http or https is expected`);
  return new URL(text);
}

function isExempt(url: URL, none: string): boolean {
  const host = url.hostname.replace(/^\[|\]$/g, '').toLowerCase();
  const port = url.port || (url.protocol === 'https:' ? '443' : '80');
  if (host === 'localhost' || isWithin(host, '127.0.0.0/8') || host === '::1') return true;
  return none
    .split(',')
    .map((entry) => entry.trim().toLowerCase())
    .some((entry) => entry !== '' && fits(entry, host, port));
}

function fits(entry: string, host: string, port: string): boolean {
  if (entry === '*') return true;
  if (entry.includes('/')) return isWithin(host, entry);
  // An IPv6 address with a port is in brackets.
  const [, bracketed, plain, own] = /^(?:\[([^\]]+)\]|([^:]*|.*:.*:.*?))(?::(\d+))?$/.exec(entry) ?? [];
  if (own !== undefined && own !== port) return false;
  const name = (bracketed ?? plain ?? '').replace(/^\*\./, '.');
  if (isIP(name) || isIP(host)) return name === host;
  return name.startsWith('.') ? host.endsWith(name) : host === name || host.endsWith(`.${name}`);
}

function isWithin(host: string, network: string): boolean {
  const family = isIP(host);
  const [address = '', bits] = network.split('/');
  if (!family || isIP(address) !== family) return false;
  const list = new BlockList();
  const words = family === 6 ? 'ipv6' : 'ipv4';
  try {
    list.addSubnet(address, Number(bits), words);
  } catch {
    return false;
  }
  return list.check(host, words);
}
