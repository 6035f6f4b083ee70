import { badRequest, methodNotAllowed, StatusError, timestamp } from '@trimtab/machinery';
import type { Snapshot } from '@trimtab/store';
import { commonHeaders, sendBytes } from '../http/answer.js';
import { pathNotFound } from '../http/answers.js';
import { readBody } from '../http/body.js';
import type { Call, HttpParts } from '../http/parts.js';
import { waitForRevision } from '../registry/revisions.js';
import type { Branches } from './branches.js';
import { carryOut, type MakeRules } from './carry-out.js';
import { changesOf, type Reader, resourceNamed, type Wanted, writesOf } from './changes.js';
import { branchDocument, planDocument } from './documents.js';
import { momentOf, type PastMoment, parseInstant, snapshotAt } from './instant.js';
import { type Plan, planUndo } from './plan.js';
import { writesToUndo } from './undo.js';

/** What a server needs to carry out plans and to have branches; without, the past can be read only. */
export interface HistoryParts {
  readonly makeRules?: MakeRules;
  readonly branches?: Branches;
}

const ROOT = '/trimtab/';
const MOST_WRITES = 10_000;

/** Everything below `/trimtab/`: moments, what changed between two, taking writes back, branches. Undefined: another path. */
export function serveHistory(parts: HttpParts, call: Call): Promise<void> | undefined {
  return call.info.path.startsWith(ROOT) ? serve(parts, call) : undefined;
}

async function serve(parts: HttpParts, call: Call): Promise<void> {
  const { exchange, info } = call;
  const path = info.path.slice(ROOT.length);
  const [room, name, action, ...more] = path.split('/');
  const found = Object.hasOwn(rooms, path) ? rooms[path] : undefined;
  if (!found && (room !== 'branches' || more.length > 0)) throw pathNotFound();
  if (found && found.method !== exchange.method)
    throw methodNotAllowed({ group: '', resource: path }, exchange.method.toLowerCase());
  const answer = found ? await found.answer(parts, call) : await branch(parts, call, name, action);
  const headers = { ...commonHeaders(call.auditId, call.warnings.texts), 'content-type': 'application/json' };
  return sendBytes(exchange, 200, headers, Buffer.from(`${JSON.stringify(answer)}\n`));
}

interface Room {
  readonly method: string;
  answer(parts: HttpParts, call: Call): Promise<object>;
}

const rooms: Readonly<Record<string, Room>> = {
  history: { method: 'GET', answer: moment },
  'history/changes': { method: 'GET', answer: changes },
  'history/writes': { method: 'GET', answer: writes },
  'history/undo': { method: 'POST', answer: undo },
};

const readerOf = ({ registry, authorizer }: HttpParts, { user }: Call): Reader => ({
  store: registry.store,
  kinds: registry.kinds,
  authorizer,
  user,
});

/** The moment a query parameter names; the present where it is not given. */
async function instant({ registry }: HttpParts, call: Call, name: string): Promise<PastMoment> {
  const { store, clock } = registry;
  const text = call.info.query.get(name);
  if (!text) return { revision: store.revision, time: clock.now() };
  const parsed = parseInstant(text, clock.now());
  if ('revision' in parsed) await waitForRevision(store, clock, parsed.revision);
  return momentOf(store, parsed);
}

const momentDocument = ({ revision, time }: PastMoment) => ({
  revision,
  ...(time === undefined ? {} : { time: timestamp(time) }),
});

/** GET /trimtab/history?at=: which revision a time is, and how far back the past is kept. */
async function moment(parts: HttpParts, call: Call): Promise<object> {
  const { store } = parts.registry;
  const found = await instant(parts, call, 'at');
  snapshotAt(store, found);
  return {
    kind: 'Moment',
    ...momentDocument(found),
    newest: store.revision,
    ...(store.oldest ? { oldest: momentDocument(store.oldest) } : {}),
  };
}

function wantedOf({ registry }: HttpParts, { info: { query } }: Call): Wanted {
  const resources = query.getAll('resource').map((text) => resourceNamed(registry.kinds, text));
  const namespace = query.get('namespace');
  const names = query.getAll('name');
  return {
    ...(resources.length > 0 ? { resources } : {}),
    ...(namespace ? { namespace } : {}),
    ...(names.length > 0 ? { names } : {}),
  };
}

/** GET /trimtab/history/changes?from=&to=: what differs between two moments. */
async function changes(parts: HttpParts, call: Call): Promise<object> {
  const { store } = parts.registry;
  if (!call.info.query.get('from')) throw badRequest('from is missing: since when? A revision, a time or a time ago');
  const from = await instant(parts, call, 'from');
  const to = await instant(parts, call, 'to');
  const items = await changesOf(
    readerOf(parts, call),
    snapshotAt(store, from),
    snapshotAt(store, to),
    wantedOf(parts, call),
  );
  return { kind: 'ChangeList', from: momentDocument(from), to: momentDocument(to), items };
}

/** GET /trimtab/history/writes?resource=&namespace=&name=: every write that is still known, oldest first. */
async function writes(parts: HttpParts, call: Call): Promise<object> {
  const { store } = parts.registry;
  const { query } = call.info;
  const from = query.get('from') ? (await instant(parts, call, 'from')).revision : firstKept(parts);
  const { revision: to } = await instant(parts, call, 'to');
  const limit = Math.min(Number(query.get('limit') ?? 0) || 500, MOST_WRITES);
  const items = await writesOf(readerOf(parts, call), from, to, wantedOf(parts, call), limit);
  return { kind: 'WriteList', ...(store.oldest ? { oldest: momentDocument(store.oldest) } : {}), items };
}

const firstKept = ({ registry: { store } }: HttpParts): number =>
  Math.max(store.oldest ? store.oldest.revision - 1 : store.revision, store.compacted);

/** POST /trimtab/history/undo: takes writes back; with `dryRun=All` says what that would do. */
async function undo(parts: HttpParts, call: Call): Promise<object> {
  const { query } = call.info;
  const wanted = wantedOf(parts, call);
  const manager = query.get('manager');
  const from = query.get('from') ? (await instant(parts, call, 'from')).revision : undefined;
  const to = query.get('to') ? (await instant(parts, call, 'to')).revision : undefined;
  const past = await writesToUndo(readerOf(parts, call), {
    ...wanted,
    ...(manager ? { manager } : {}),
    ...(from === undefined ? {} : { from }),
    ...(to === undefined ? {} : { to }),
  });
  return make(parts, call, 'undo', (present) =>
    planUndo(past, ({ kind, key }) => {
      const entry = present.get(key);
      return entry && kind.storage.fromStorage(entry.object);
    }),
  );
}

/** Carries a plan out, or shows it; 409 with every field of every object where somebody else was there. */
async function make(parts: HttpParts, call: Call, manager: string, plan: (present: Snapshot) => Plan): Promise<object> {
  const { makeRules } = parts.history;
  if (!makeRules) throw pathNotFound();
  const dryRun = call.info.query.getAll('dryRun').includes('All');
  const name = call.info.query.get('fieldManager') || `trimtab-${manager}`;
  const result = await carryOut(parts.registry, makeRules, call.user, name, plan, { dryRun });
  if (!dryRun && result.plan.conflicts.length > 0) throw conflicting(result.plan);
  return planDocument(result.plan, result.revision, !dryRun && result.plan.steps.length > 0);
}

function conflicting({ conflicts }: Plan): StatusError {
  const causes = conflicts.flatMap(({ kind, key, fields, reason }) => {
    const at = `${kind.resource}${kind.group ? `.${kind.group}` : ''} ${key.namespace ? `${key.namespace}/` : ''}${key.name}`;
    return (fields.length > 0 ? fields : ['']).map((field) => ({
      reason: 'FieldManagerConflict',
      message: `${at}: ${reason}`,
      ...(field ? { field } : {}),
    }));
  });
  const lines = causes.map(({ message, field }) => (field ? `${message}: ${field}` : message));
  return new StatusError({
    code: 409,
    reason: 'Conflict',
    message: `nothing was changed, because of ${lines.length === 1 ? 'a conflict' : `${lines.length} conflicts`}:\n${lines.map((line) => `- ${line}`).join('\n')}`,
    details: { causes },
  });
}

/** /trimtab/branches[/NAME[/changes|plan|merge|reset]] */
async function branch(parts: HttpParts, call: Call, name?: string, action?: string): Promise<object> {
  const { branches } = parts.history;
  if (!branches) throw pathNotFound();
  const { method } = call.exchange;
  const { store } = parts.registry;
  const base = async (): Promise<Snapshot> => snapshotAt(store, await instant(parts, call, 'at'));
  if (name === undefined && method === 'GET') return { kind: 'BranchList', items: branches.list().map(branchDocument) };
  if (name === undefined && method === 'POST')
    return branchDocument(await branches.create(nameIn(await readBody(call.exchange)), await base()));
  if (name !== undefined && action === undefined) {
    if (method === 'GET') return branchDocument(branches.get(name));
    if (method === 'DELETE') {
      await branches.delete(name);
      return { kind: 'Branch', name };
    }
  }
  if (name !== undefined && action === 'changes' && method === 'GET') {
    const { store: own, running, base: from } = branches.get(name);
    const reader = { ...readerOf(parts, call), store: own, kinds: running.registry.kinds };
    const items = await changesOf(reader, from, own.snapshot(), wantedOf(parts, call));
    return { kind: 'ChangeList', from: { revision: from.revision }, to: { revision: own.revision }, items };
  }
  if (name !== undefined && action === 'merge' && method === 'POST') {
    const merged = branches.get(name);
    return make(parts, call, `branch-${name}`, (present) => branches.plan(merged, present));
  }
  if (name !== undefined && action === 'reset' && method === 'POST')
    return branchDocument(await branches.reset(name, await base()));
  throw methodNotAllowed({ group: '', resource: 'branches' }, method.toLowerCase());
}

function nameIn(body: Buffer): string {
  try {
    const { name } = JSON.parse(body.toString('utf8')) as { readonly name?: unknown };
    if (typeof name === 'string') return name;
  } catch {
    // Said below, as for every other body that names no branch.
  }
  throw badRequest('a branch is made of {"name": "…"}');
}
