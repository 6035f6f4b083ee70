import type { CustomResourceColumnDefinition } from '../generated/types.js';
import type { KubeObject, ListMeta } from '../object.js';
import type { Cell, Column, Printer, RowCondition } from './column.js';
import { customPrinter } from './custom.js';
import { printerOf } from './printers.js';

/** Server-side printing: `meta.k8s.io` Tables, which kubectl asks for and prints as they come. */

export interface TableColumn {
  readonly name: string;
  readonly type: string;
  readonly format: string;
  readonly description: string;
  readonly priority: number;
}

export interface TableRow {
  readonly cells: readonly Cell[];
  readonly conditions?: readonly RowCondition[];
  readonly object?: object;
}

export interface Table {
  readonly kind: 'Table';
  readonly apiVersion: string;
  readonly metadata: ListMeta;
  readonly columnDefinitions: readonly TableColumn[];
  readonly rows: readonly TableRow[];
}

export interface TableOptions {
  /** Milliseconds since the epoch; ages are counted to it. */
  readonly now: number;
  /** How much of each object its row carries; metadata alone by default. */
  readonly includeObject?: 'Metadata' | 'Object' | 'None';
  /** `additionalPrinterColumns` of a custom resource's version; give an empty list for a custom resource without any. */
  readonly columns?: readonly CustomResourceColumnDefinition[];
  /** False leaves the column definitions out, as every event of a watch but the first does. */
  readonly definitions?: boolean;
  /** The list's metadata; that of the object where a single one is shown. */
  readonly metadata?: ListMeta;
  /** `meta.k8s.io/v1`, or `meta.k8s.io/v1beta1` for clients that ask for it. */
  readonly apiVersion?: string;
}

const custom = new WeakMap<readonly CustomResourceColumnDefinition[], Printer<KubeObject>>();

function printerFor(
  resource: { readonly group: string; readonly resource: string },
  columns: TableOptions['columns'],
): Printer<KubeObject> {
  if (!columns) return printerOf(resource.group, resource.resource);
  let printer = custom.get(columns);
  if (!printer) {
    printer = customPrinter(columns);
    custom.set(columns, printer);
  }
  return printer;
}

/**
 * The table of objects of one resource, wide columns included: clients choose by priority. Objects need their `metadata`;
 * rows that carry the whole object carry it as given, so type information must be in it.
 */
export function toTable(
  resource: { readonly group: string; readonly resource: string },
  objects: readonly KubeObject[],
  options: TableOptions,
): Table {
  const printer = printerFor(resource, options.columns);
  const apiVersion = options.apiVersion ?? 'meta.k8s.io/v1';
  return {
    kind: 'Table',
    apiVersion,
    metadata: options.metadata ?? metadataOf(objects),
    columnDefinitions: options.definitions === false ? [] : definitionsOf(printer),
    rows: objects.map((object) => rowOf(printer, object, options, apiVersion)),
  };
}

/** The headers alone, in the order of the cells. */
export function tableColumns(
  resource: { readonly group: string; readonly resource: string },
  columns?: readonly CustomResourceColumnDefinition[],
): readonly TableColumn[] {
  return definitionsOf(printerFor(resource, columns));
}

const definitionsOf = (printer: Printer<KubeObject>): readonly TableColumn[] =>
  printer.columns.map(({ name, type, format, description, priority }: Column<KubeObject>) => ({
    name,
    type,
    format,
    description,
    priority,
  }));

function metadataOf(objects: readonly KubeObject[]): ListMeta {
  const version = objects.length === 1 ? objects[0]!.metadata.resourceVersion : undefined;
  return version ? { resourceVersion: version } : {};
}

function rowOf(printer: Printer<KubeObject>, object: KubeObject, options: TableOptions, apiVersion: string): TableRow {
  const conditions = printer.conditions?.(object);
  const carried = carriedObject(object, options.includeObject ?? 'Metadata', apiVersion);
  return {
    cells: printer.columns.map((each) => each.cell(object, options.now)),
    ...(conditions ? { conditions } : {}),
    ...(carried ? { object: carried } : {}),
  };
}

function carriedObject(
  object: KubeObject,
  include: 'Metadata' | 'Object' | 'None',
  apiVersion: string,
): object | undefined {
  if (include === 'None') return undefined;
  return include === 'Object' ? object : toPartialMetadata(object, apiVersion);
}

/** The object as `PartialObjectMetadata`, for rows and for clients that ask for nothing else. */
export function toPartialMetadata(object: KubeObject, apiVersion = 'meta.k8s.io/v1'): KubeObject {
  return { kind: 'PartialObjectMetadata', apiVersion, metadata: object.metadata };
}
