import { badRequest } from '@trimtab/machinery';

/** Where a chunked list goes on: after the key, at the first page's revision; -1 means «at whatever is newest». */
export interface ContinueToken {
  readonly revision: number;
  readonly after: { readonly namespace: string; readonly name: string };
}

/** Base64url of `{"v","rv","start"}`, as Kubernetes writes it; opaque to clients. */
export function encodeContinue(token: ContinueToken): string {
  const start = `${token.after.namespace}/${token.after.name}\u0000`;
  return Buffer.from(JSON.stringify({ v: 'meta.k8s.io/v1', rv: token.revision, start })).toString('base64url');
}

/** Throws BadRequest for anything this server did not write. */
export function decodeContinue(text: string): ContinueToken {
  try {
    const { v, rv, start } = JSON.parse(Buffer.from(text, 'base64url').toString()) as Record<string, unknown>;
    if (v !== 'meta.k8s.io/v1' || typeof start !== 'string' || !Number.isSafeInteger(rv)) throw new Error('shape');
    const slash = start.indexOf('/');
    if (slash < 0 || !start.endsWith('\u0000')) throw new Error('start');
    return {
      revision: rv as number,
      after: { namespace: start.slice(0, slash), name: start.slice(slash + 1, -1) },
    };
  } catch {
    throw badRequest('continue key is not valid');
  }
}
