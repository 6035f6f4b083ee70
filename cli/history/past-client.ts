import { type ApiCall, HttpClient, type HttpClientOptions } from '@trimtab/client';
import { CliError } from '../errors.js';

/** A moment of a cluster's past. */
export interface Then {
  readonly revision: number;
  /** Unix milliseconds, where it is known. */
  readonly time?: number;
}

/** Reads everything as of one revision, and refuses to write. */
export class PastClient extends HttpClient {
  constructor(
    options: HttpClientOptions,
    readonly revision: number,
  ) {
    super(options);
  }

  override call(call: ApiCall): Promise<unknown> {
    const asked = asOf(call, String(this.revision));
    if (!asked) throw new CliError('the past can be read and not changed; leave out --at and --revision');
    return super.call(asked);
  }
}

/** The call as of a revision; undefined for what is no read. Pages after a list's first know their revision. */
export function asOf(call: ApiCall, revision: string): ApiCall | undefined {
  switch (call.verb) {
    case 'raw':
      return call;
    case 'get':
      return { ...call, options: { ...call.options, resourceVersion: undefined, at: revision } };
    case 'list':
      return call.options.continue
        ? call
        : { ...call, options: { ...call.options, resourceVersion: revision, resourceVersionMatch: 'Exact' } };
    default:
      return undefined;
  }
}
