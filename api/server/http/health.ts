import type { Exchange } from './exchange.js';
import type { HttpParts } from './parts.js';
import type { RequestInfo } from './request-info.js';

export const healthPaths = /^\/(healthz|livez|readyz)(\/[^/]+)?\/?$/;

/** `ok`, or with `?verbose` one line a check; 500 naming those that fail. Needs no authentication. */
export function serveHealth(parts: HttpParts, exchange: Exchange, info: RequestInfo): void {
  const [, endpoint, single] = info.path.split('/');
  const failing = endpoint === 'livez' ? [] : parts.notReady();
  const checks = ['ping', 'store', ...failing.filter((f) => f !== 'store')];
  if (single && !checks.includes(single)) {
    exchange.respond(404, { 'content-type': 'text/plain; charset=utf-8' }, Buffer.from('404 page not found\n'));
    return;
  }
  const looked = single ? [single] : checks;
  const failed = looked.filter((c) => failing.includes(c));
  const lines = looked.map((c) => (failed.includes(c) ? `[-]${c} failed: not ready yet` : `[+]${c} ok`));
  const verdict = `${endpoint} check ${failed.length === 0 ? 'passed' : 'failed'}`;
  const wordy = failed.length > 0 || info.query.has('verbose');
  const text = wordy ? `${lines.join('\n')}\n${verdict}\n` : 'ok';
  exchange.respond(
    failed.length === 0 ? 200 : 500,
    {
      'content-type': 'text/plain; charset=utf-8',
      'cache-control': 'no-cache, private',
      'x-content-type-options': 'nosniff',
    },
    Buffer.from(text),
  );
}
