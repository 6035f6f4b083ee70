import type { Document, LineCounter, Node, ParsedNode } from 'yaml';
import type { Json } from '../object.js';
import { pathText } from '../schema/decode-errors.js';
import { duplicateFields } from './duplicates.js';
import { yamlLibrary } from './lazy.js';
import { kubernetesTags } from './yaml-schema.js';

/** Text that is no YAML; the message names the line, and the source where one was given. */
export class YamlError extends Error {
  override readonly name = 'YamlError';

  constructor(
    message: string,
    /** Lines and columns count from 1. */
    readonly line: number,
    readonly column: number,
  ) {
    super(message);
  }
}

/** A name given twice in one mapping; the last one counts. */
export interface DuplicateField {
  readonly field: string;
  readonly line: number;
  /** `duplicate field "spec.replicas"` */
  readonly message: string;
}

/** One document of a file, with the way back from a value to its place in the file. */
export interface YamlDocument {
  readonly value: Json;
  /** Where the document's content begins, from 1. */
  readonly line: number;
  readonly duplicates: readonly DuplicateField[];
  /** The line on which the value at this path stands, or that of the nearest parent there is. */
  lineOf(path: readonly (string | number)[]): number;
}

/**
 * Reads a file of YAML documents or JSON as kubectl does. Empty documents are left out. Throws YamlError; `source` (a file
 * name) goes into its message.
 */
export function parseYamlDocuments(text: string, source?: string): readonly YamlDocument[] {
  const json = parseJson(text);
  if (json) return [json];
  const { LineCounter, parseAllDocuments } = yamlLibrary();
  const lines = new LineCounter();
  try {
    const documents = parseAllDocuments(text, {
      lineCounter: lines,
      uniqueKeys: false,
      customTags: kubernetesTags,
      schema: 'failsafe',
      merge: true,
      version: '1.1',
      prettyErrors: false,
      logLevel: 'error',
    });
    if (!Array.isArray(documents)) return [];
    return (documents as Document.Parsed[]).filter((d) => hasContent(d)).map((d) => readDocument(d, lines, source));
  } catch (e) {
    if (!(e instanceof RangeError)) throw e;
    throw new YamlError(located(source, 1, 'exceeded max depth'), 1, 1);
  }
}

/** Reads text that holds one document; undefined where it holds none. */
export function parseYaml(text: string, source?: string): Json | undefined {
  const documents = parseYamlDocuments(text, source);
  if (documents.length > 1)
    throw new YamlError(located(source, documents[1]!.line, 'expected a single document'), documents[1]!.line, 1);
  return documents[0]?.value;
}

/** Writes one document as kubectl prints it: keys in order, list items under their key's column, nothing folded. */
export function stringifyYaml(value: unknown): string {
  const { Document, visit } = yamlLibrary();
  const document = new Document(value, {
    schema: 'failsafe',
    customTags: kubernetesTags,
    version: '1.1',
    sortMapEntries: true,
    aliasDuplicateObjects: false,
    keepUndefined: false,
  });
  visit(document, {
    Scalar(_, node) {
      if (typeof node.value === 'string' && node.value.includes('\n') && LOSES_SPACE.test(node.value))
        node.type = 'QUOTE_DOUBLE';
    },
  });
  return document.toString({ indentSeq: false, lineWidth: 0 });
}

/** Texts of several lines whose outer spaces a literal block would not keep. */
const LOSES_SPACE = /^\s|[ \t]\n|[ \t]$/;

function parseJson(text: string): YamlDocument | undefined {
  const start = text.search(/\S/);
  if (start < 0 || (text[start] !== '{' && text[start] !== '[')) return undefined;
  let value: Json;
  try {
    value = JSON.parse(text) as Json;
  } catch {
    return undefined;
  }
  const line = text.slice(0, start).split('\n').length;
  const duplicates = duplicateFields(text).map((message) => ({ field: message.slice(17, -1), line, message }));
  return { value, line, duplicates, lineOf: () => line };
}

function hasContent(document: Document.Parsed): boolean {
  if (document.errors.length > 0) return true;
  const { contents } = document;
  return contents !== null && !(yamlLibrary().isScalar(contents) && contents.value === null);
}

function readDocument(document: Document.Parsed, lines: LineCounter, source: string | undefined): YamlDocument {
  const error = document.errors[0];
  if (error) {
    const { line, col } = lines.linePos(error.pos[0]);
    throw new YamlError(located(source, line, error.message), line, col);
  }
  const lineAt = (node: { range?: readonly number[] | null } | null | undefined): number | undefined =>
    node?.range ? lines.linePos(node.range[0]!).line : undefined;
  const first = lineAt(document.contents) ?? 1;
  let value: Json;
  try {
    value = document.toJS({ maxAliasCount: 100 }) as Json;
  } catch (e) {
    throw new YamlError(located(source, first, (e as Error).message), first, 1);
  }
  return {
    value,
    line: first,
    duplicates: findDuplicates(document.contents, lineAt),
    lineOf(path) {
      for (let length = path.length; length > 0; length--) {
        const line = lineAt(nodeAt(document, path.slice(0, length)));
        if (line !== undefined) return line;
      }
      return first;
    },
  };
}

/** The node of a map entry's key, or of a list's element. */
function nodeAt(document: Document.Parsed, path: readonly (string | number)[]): Node | undefined {
  const { isMap, isScalar, isNode } = yamlLibrary();
  const last = path.at(-1)!;
  const parent = path.length === 1 ? document.contents : document.getIn(path.slice(0, -1), true);
  if (isMap(parent)) {
    const pair = parent.items.find((p) => String(isScalar(p.key) ? p.key.value : p.key) === String(last));
    if (isNode(pair?.key)) return pair.key;
  }
  const node = document.getIn(path, true);
  return isNode(node) ? node : undefined;
}

function findDuplicates(
  root: ParsedNode | null,
  lineAt: (node: Node) => number | undefined,
): readonly DuplicateField[] {
  const { isMap, isNode, isScalar, isSeq } = yamlLibrary();
  const out: DuplicateField[] = [];
  const walk = (node: unknown, path: readonly (string | number)[]): void => {
    if (isSeq(node)) node.items.forEach((item, i) => void walk(item, [...path, i]));
    if (!isMap(node)) return;
    const seen = new Set<string>();
    for (const { key, value } of node.items) {
      const name = String(isScalar(key) ? key.value : key);
      const here = [...path, name];
      if (seen.has(name) && name !== '<<') {
        const field = pathText(here);
        out.push({ field, line: (isNode(key) && lineAt(key)) || 1, message: `duplicate field "${field}"` });
      }
      seen.add(name);
      walk(value, here);
    }
  };
  walk(root, []);
  return out;
}

function located(source: string | undefined, line: number, message: string): string {
  const text = `yaml: line ${line}: ${message.charAt(0).toLowerCase()}${message.slice(1)}`;
  return source === undefined ? text : `error parsing ${source}: ${text}`;
}
