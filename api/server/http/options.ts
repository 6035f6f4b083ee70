import type { DeleteOptions, ListOptions, WatchOptions, WriteOptions } from '@trimtab/client';
import { badRequest, invalid, type StatusCause } from '@trimtab/machinery';
import type { FieldValidation } from '../registry/decoding.js';
import type { DeleteRequest } from '../registry/delete.js';
import { isTrue } from './request-info.js';

/** Query parameters and option bodies as the registry's options. Malformed ones are refused as Kubernetes refuses them. */

function integer(query: URLSearchParams, name: string): number | undefined {
  const text = query.get(name);
  if (text === null || text === '') return undefined;
  if (!/^-?\d+$/.test(text)) throw badRequest(`strconv.ParseInt: parsing ${JSON.stringify(text)}: invalid syntax`);
  return Number(text);
}

const text = (query: URLSearchParams, name: string): string | undefined => query.get(name) || undefined;

export function listOptions(query: URLSearchParams): ListOptions & WatchOptions {
  const sendInitialEvents = query.get('sendInitialEvents');
  return {
    labelSelector: text(query, 'labelSelector'),
    fieldSelector: text(query, 'fieldSelector'),
    resourceVersion: text(query, 'resourceVersion'),
    resourceVersionMatch: text(query, 'resourceVersionMatch') as ListOptions['resourceVersionMatch'],
    limit: integer(query, 'limit'),
    continue: text(query, 'continue'),
    allowWatchBookmarks: isTrue(query.get('allowWatchBookmarks')),
    timeoutSeconds: integer(query, 'timeoutSeconds'),
    ...(sendInitialEvents === null ? {} : { sendInitialEvents: isTrue(sendInitialEvents) }),
  };
}

function dryRun(values: readonly string[], kind: string): boolean {
  const wrong = values.filter((v) => v !== 'All');
  if (wrong.length > 0)
    throw invalid({ group: 'meta.k8s.io', kind }, '', [
      {
        reason: 'FieldValueNotSupported',
        field: 'dryRun',
        message: `Unsupported value: ${JSON.stringify(wrong[0])}: supported values: "All"`,
      },
    ]);
  return values.length > 0;
}

export interface QueryWriteOptions extends WriteOptions {
  readonly force?: boolean;
  readonly fieldValidation: FieldValidation;
}

export function writeOptions(
  query: URLSearchParams,
  kind: 'CreateOptions' | 'UpdateOptions' | 'PatchOptions',
): QueryWriteOptions {
  const fieldValidation = query.get('fieldValidation') || 'Warn';
  const fieldManager = text(query, 'fieldManager');
  const causes: StatusCause[] = [];
  if (!['Ignore', 'Warn', 'Strict'].includes(fieldValidation))
    causes.push({
      reason: 'FieldValueNotSupported',
      field: 'fieldValidation',
      message: `Unsupported value: ${JSON.stringify(fieldValidation)}: supported values: "Ignore", "Strict", "Warn"`,
    });
  if (fieldManager && fieldManager.length > 128)
    causes.push({
      reason: 'FieldValueTooLong',
      field: 'fieldManager',
      message: 'Too long: may not be more than 128 bytes',
    });
  if (causes.length > 0) throw invalid({ group: 'meta.k8s.io', kind }, '', causes);
  return {
    fieldManager,
    fieldValidation: fieldValidation as FieldValidation,
    dryRun: dryRun(query.getAll('dryRun'), kind),
    ...(query.has('force') ? { force: isTrue(query.get('force')) } : {}),
  };
}

/** The options' body is read without a schema, so what it holds may be anything. */
function checkTypes({
  gracePeriodSeconds,
  dryRun: dry,
  preconditions,
  orphanDependents,
}: Readonly<Record<string, unknown>>) {
  const wrong = (field: string, type: string) =>
    badRequest(`json: cannot unmarshal into Go struct field DeleteOptions.${field} of type ${type}`);
  if (gracePeriodSeconds !== undefined && gracePeriodSeconds !== null && !Number.isSafeInteger(gracePeriodSeconds))
    throw wrong('gracePeriodSeconds', 'int64');
  if (dry !== undefined && dry !== null && !(Array.isArray(dry) && dry.every((d) => typeof d === 'string')))
    throw wrong('dryRun', '[]string');
  if (preconditions !== undefined && typeof preconditions !== 'object')
    throw wrong('preconditions', 'v1.Preconditions');
  if (orphanDependents !== undefined && orphanDependents !== null && typeof orphanDependents !== 'boolean')
    throw wrong('orphanDependents', 'bool');
}

/** A DeleteOptions body where there is one, else the query's options. */
export function deleteOptions(
  query: URLSearchParams,
  body: Readonly<Record<string, unknown>> | undefined,
): DeleteRequest {
  const source: Readonly<Record<string, unknown>> = body ?? {
    gracePeriodSeconds: integer(query, 'gracePeriodSeconds'),
    propagationPolicy: text(query, 'propagationPolicy'),
    orphanDependents: query.has('orphanDependents') ? isTrue(query.get('orphanDependents')) : undefined,
    dryRun: query.getAll('dryRun'),
  };
  checkTypes(source);
  const policy = source.propagationPolicy as string | undefined;
  const orphan = source.orphanDependents as boolean | undefined;
  const causes: StatusCause[] = [];
  if (policy !== undefined && !['Orphan', 'Background', 'Foreground'].includes(policy))
    causes.push({
      reason: 'FieldValueNotSupported',
      field: 'propagationPolicy',
      message: `Unsupported value: ${JSON.stringify(policy)}: supported values: "Background", "Foreground", "Orphan"`,
    });
  if (policy !== undefined && orphan !== undefined)
    causes.push({
      reason: 'FieldValueInvalid',
      field: 'propagationPolicy',
      message: `Invalid value: ${JSON.stringify(policy)}: orphanDependents and deletionPropagation cannot be both set`,
    });
  if (causes.length > 0) throw invalid({ group: 'meta.k8s.io', kind: 'DeleteOptions' }, '', causes);
  return {
    gracePeriodSeconds: (source.gracePeriodSeconds ?? undefined) as number | undefined,
    propagationPolicy: policy as DeleteOptions['propagationPolicy'],
    orphanDependents: orphan,
    preconditions: source.preconditions as DeleteOptions['preconditions'],
    dryRun: dryRun((source.dryRun as readonly string[] | undefined) ?? [], 'DeleteOptions'),
  };
}
