import { pathText } from '../schema/decode-errors.js';
import { badRequest } from '../status.js';

/** Far beyond any real object, and far below what a stack holds. */
export const MAX_DEPTH = 1000;

/**
 * The names given twice in the objects of a JSON text, in the words of Kubernetes' strict decoding: `duplicate field
 * "spec.replicas"`, in document order, each once. The text must be valid JSON (`JSON.parse` took it, and kept the last value).
 *
 * Throws a 400 StatusError for text nested deeper than {@link MAX_DEPTH}, which nothing that walks objects has to survive.
 */
export function duplicateFields(json: string): readonly string[] {
  const found = new Set<string>();
  const path: (string | number)[] = [];
  /** For each container we are in: the names seen in an object, undefined in an array. */
  const seen: (Set<string> | undefined)[] = [];
  let expectName = false;
  for (let i = 0; i < json.length; i++) {
    switch (json.charCodeAt(i)) {
      case 0x7b: // {
        enter(seen, new Set());
        path.push('');
        expectName = true;
        break;
      case 0x5b: // [
        enter(seen, undefined);
        path.push(0);
        expectName = false;
        break;
      case 0x7d: // }
      case 0x5d: // ]
        seen.pop();
        path.pop();
        expectName = false;
        break;
      case 0x2c: // ,
        if (seen.at(-1)) expectName = true;
        else path[path.length - 1] = (path.at(-1) as number) + 1;
        break;
      case 0x22: {
        const end = closingQuote(json, i);
        if (expectName) {
          const raw = json.slice(i + 1, end);
          const name = raw.includes('\\') ? (JSON.parse(json.slice(i, end + 1)) as string) : raw;
          const names = seen.at(-1)!;
          path[path.length - 1] = name;
          if (names.has(name)) found.add(`duplicate field "${pathText(path)}"`);
          names.add(name);
          expectName = false;
        }
        i = end;
      }
    }
  }
  return [...found];
}

function enter(seen: (Set<string> | undefined)[], names: Set<string> | undefined): void {
  if (seen.push(names) > MAX_DEPTH) throw badRequest(`json: exceeded max depth of ${MAX_DEPTH}`);
}

function closingQuote(json: string, open: number): number {
  let end = json.indexOf('"', open + 1);
  for (;;) {
    let slashes = 0;
    while (json.charCodeAt(end - 1 - slashes) === 0x5c) slashes++;
    if (slashes % 2 === 0 || end < 0) return end < 0 ? json.length : end;
    end = json.indexOf('"', end + 1);
  }
}
