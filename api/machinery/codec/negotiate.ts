/** The media types the API speaks. */
export const MediaType = {
  json: 'application/json',
  yaml: 'application/yaml',
  protobuf: 'application/vnd.kubernetes.protobuf',
  jsonPatch: 'application/json-patch+json',
  mergePatch: 'application/merge-patch+json',
  strategicMergePatch: 'application/strategic-merge-patch+json',
  applyPatch: 'application/apply-patch+yaml',
  openapiV2: 'application/com.github.proto-openapi.spec.v2@v1.0+protobuf',
  /** What an answer to a request for `openapiV2` must be labelled: Go's clients refuse the @ they ask with. */
  openapiV2Answer: 'application/com.github.proto-openapi.spec.v2.v1.0+protobuf',
} as const;

/** One entry of an Accept header, or a Content-Type. Names and parameter names are lower case. */
export interface MediaRange {
  readonly type: string;
  /** `g`, `v`, `as`, `stream`, … without `q`. */
  readonly parameters: Readonly<Record<string, string>>;
  readonly quality: number;
}

/** Reads an Accept or Content-Type header, best first; entries of equal quality keep their order, those of quality 0 are left out. */
export function parseMediaRanges(header: string | undefined): readonly MediaRange[] {
  const out: MediaRange[] = [];
  for (const entry of (header ?? '').split(',')) {
    const [name = '', ...rest] = entry.split(';');
    const type = name.trim().toLowerCase();
    if (type === '') continue;
    const parameters: Record<string, string> = {};
    let quality = 1;
    for (const parameter of rest) {
      const equals = parameter.indexOf('=');
      if (equals < 0) continue;
      const key = parameter.slice(0, equals).trim().toLowerCase();
      const value = parameter
        .slice(equals + 1)
        .trim()
        .replace(/^"(.*)"$/, '$1');
      if (key === 'q') quality = Number(value);
      else parameters[key] = value;
    }
    if (quality > 0) out.push({ type, parameters, quality });
  }
  return out.sort((a, b) => b.quality - a.quality);
}

/** Whether a range such as `application/*` takes in a media type. */
export function accepts(range: MediaRange, type: string): boolean {
  if (range.type === '*/*' || range.type === type) return true;
  return range.type.endsWith('/*') && type.startsWith(range.type.slice(0, -1));
}
