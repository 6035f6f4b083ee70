import { notAcceptable } from '@trimtab/machinery';

export type Format = 'json' | 'yaml' | 'protobuf';

/** The form an answer is wanted in. */
export interface Representation {
  readonly format: Format;
  /** Conversions of meta.k8s.io the client asked for. */
  readonly as?: 'Table' | 'PartialObjectMetadata' | 'PartialObjectMetadataList';
  readonly version: 'v1' | 'v1beta1';
  readonly pretty: boolean;
}

export const mediaTypes: Readonly<Record<Format, string>> = {
  json: 'application/json',
  yaml: 'application/yaml',
  protobuf: 'application/vnd.kubernetes.protobuf',
};

export interface MediaRange {
  readonly type: string;
  readonly params: Readonly<Record<string, string>>;
  readonly q: number;
}

/** The ranges of an Accept header, most wanted first; equal ones in the order given. */
export function parseAccept(accept: string | undefined): readonly MediaRange[] {
  if (!accept) return [{ type: '*/*', params: {}, q: 1 }];
  return accept
    .split(',')
    .map((part) => {
      const [type = '', ...rest] = part.split(';').map((s) => s.trim());
      const params: Record<string, string> = {};
      for (const p of rest) {
        const eq = p.indexOf('=');
        if (eq > 0) params[p.slice(0, eq).toLowerCase()] = p.slice(eq + 1).replace(/^"|"$/g, '');
      }
      const q = params.q === undefined ? 1 : Number(params.q);
      return { type: type.toLowerCase(), params, q: Number.isNaN(q) ? 1 : q };
    })
    .sort((a, b) => b.q - a.q);
}

const formats: Readonly<Record<string, Format>> = {
  '*/*': 'json',
  'application/*': 'json',
  'application/json': 'json',
  'application/yaml': 'yaml',
  'application/vnd.kubernetes.protobuf': 'protobuf',
};

/** The first form of an Accept header that can be given; `convertible` says whether Table and metadata-only
 * forms can, `protobuf` whether the kind has such an encoding. */
export function negotiate(
  accept: string | undefined,
  can: { readonly convertible: boolean; readonly protobuf: () => boolean; readonly list: boolean },
  pretty: boolean,
): Representation {
  for (const { type, params } of parseAccept(accept)) {
    const format = Object.hasOwn(formats, type) ? formats[type] : undefined;
    if (!format) continue;
    if (params.as === undefined) {
      if (format === 'protobuf' && !can.protobuf()) continue;
      return { format, version: 'v1', pretty };
    }
    if (!can.convertible || format === 'yaml' || params.g !== 'meta.k8s.io') continue;
    // Rows hold any JSON, which has no message; metadata is of the same kind whatever the object's.
    if (format === 'protobuf' && params.as === 'Table') continue;
    if (params.v !== 'v1' && params.v !== 'v1beta1') continue;
    const wanted = can.list ? ['Table', 'PartialObjectMetadataList'] : ['Table', 'PartialObjectMetadata'];
    if (!wanted.includes(params.as)) continue;
    return { format, as: params.as as Representation['as'], version: params.v, pretty };
  }
  throw notAcceptable(
    `only the following media types are accepted: ${Object.values(mediaTypes).join(', ')}, application/json;stream=watch, application/vnd.kubernetes.protobuf;stream=watch`,
  );
}

/** The Content-Type of an answer in this form. */
export function contentType(r: Representation): string {
  return r.as ? `${mediaTypes[r.format]};as=${r.as};g=meta.k8s.io;v=${r.version}` : mediaTypes[r.format];
}
