import fc from 'fast-check';
import { accept, header, parameter, paths, subresources } from './addresses.js';
import { bodyFor } from './bodies.js';
import { NAMES, NAMESPACES, SEEDS } from './seeds.js';

export interface Request {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer | undefined;
  /** Milliseconds after which the client goes away, at whatever point that is. */
  readonly abortAfter: number | undefined;
}
/** One in so many has it. (fast-check's own `option` counts those that have none.) */
const seldom = <T>(arbitrary: fc.Arbitrary<T>, oneIn: number): fc.Arbitrary<T | null> =>
  fc.oneof({ weight: oneIn - 1, arbitrary: fc.constant(null) }, { weight: 1, arbitrary });

/** Requests as no client sends them, most of them nearly right. */
export const request: fc.Arbitrary<Request> = fc
  .record({
    method: fc.constantFrom(
      'GET',
      'GET',
      'POST',
      'POST',
      'PUT',
      'PATCH',
      'PATCH',
      'PATCH',
      'DELETE',
      'POST',
      'PUT',
      'DELETE',
      'HEAD',
      'OPTIONS',
    ),
    seed: fc.constantFrom(...SEEDS),
    name: fc.constantFrom(...NAMES),
    namespace: fc.constantFrom('fuzz', 'fuzz', 'fuzz', 'fuzz', ...NAMESPACES),
    subresource: seldom(fc.constantFrom(...subresources), 5),
    elsewhere: seldom(paths, 8),
    collection: fc.nat(9),
    parameters: fc.array(parameter, { maxLength: 3 }),
    plain: fc.boolean(),
    accept,
    header,
    abortAfter: seldom(fc.nat(15), 12),
  })
  .chain((r) => bodyFor(r.method, r.seed, r.name).map(({ body, type }) => ({ ...r, body, type })))
  .map((r): Request => {
    const collection = r.seed.path.replace('/namespaces/fuzz/', `/namespaces/${r.namespace}/`);
    const onCollection =
      r.method === 'POST' ? r.collection < 8 : ['GET', 'DELETE'].includes(r.method) && r.collection < 3;
    const named = onCollection ? collection : `${collection}/${encodeURIComponent(r.name)}`;
    const base = r.elsewhere ?? (r.subresource === null || onCollection ? named : `${named}/${r.subresource}`);
    // Half of the writes carry no parameters at all, so that much is stored.
    const parameters = r.plain ? [] : r.parameters;
    const extra =
      r.type.includes('apply-patch') && r.collection < 8
        ? [
            ['fieldManager', 'fuzz'],
            ['force', 'true'],
          ]
        : [];
    const query = [...parameters, ...extra]
      .map(([k, v]) => `${encodeURIComponent(k!)}=${encodeURIComponent(v!)}`)
      .join('&');
    return {
      method: r.method,
      path: query ? `${base}${base.includes('?') ? '&' : '?'}${query}` : base,
      headers: { accept: r.accept, ...(r.type ? { 'content-type': r.type } : {}), ...r.header },
      body: r.body,
      abortAfter: r.abortAfter ?? undefined,
    };
  });
