#!/usr/bin/env node
/**
 * Crash cycles: a store in a process of its own is written to, read, watched and compacted by many clients, dies by a failpoint,
 * by kill -9 at some instant or with the power, and starts again on what it left. Everything every client saw is then judged:
 * linearizability and the properties of watches (api/store/proof).
 *
 *     node test/store/crash.mjs [--cycles 100] [--seed N] [--min-rate 50] [--keep]
 */
import { spawn } from 'node:child_process';
import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { buildSync } from 'esbuild';
import { checkHistory } from '../../api/store/dist/proof/check.js';

const { values } = parseArgs({
  options: {
    cycles: { type: 'string', default: '100' },
    seed: { type: 'string' },
    'min-rate': { type: 'string', default: '50' },
    keep: { type: 'boolean', default: false },
  },
});
const cycles = Number(values.cycles);
const seed = Number(values.seed ?? Math.floor(Date.now() % 1e9));
const base = mkdtempSync(join(tmpdir(), 'trimtab-crash-'));
const worker = join(base, 'worker.mjs');
// In one file, because a hundred starts of Node would do little but read hundreds of modules.
buildSync({
  entryPoints: [fileURLToPath(new URL('./worker.mjs', import.meta.url))],
  outfile: worker,
  bundle: true,
  platform: 'node',
  format: 'esm',
  banner: {
    js: "import { createRequire as requireOf } from 'node:module'; const require = requireOf(import.meta.url);",
  },
});
const directory = join(base, 'store');
console.log(`seed ${seed}; again: node test/store/crash.mjs --cycles ${cycles} --seed ${seed}`);

let state = seed >>> 0;
function random() {
  state = (state + 0x6d2b79f5) >>> 0;
  let t = Math.imul(state ^ (state >>> 15), state | 1);
  t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
  return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
}
const pick = (items) => items[Math.floor(random() * items.length)];

/** Every kind of end, by turns; where in the life it comes is the seed's. */
const ENDS = [
  ...['write', 'sync', 'create', 'syncNames', 'rename', 'remove'].flatMap((operation) =>
    ['before', 'after'].map((how) => ({ operation, how })),
  ),
  { operation: 'write', how: 'torn' },
  { operation: 'write', how: 'torn', power: true },
  { operation: 'sync', how: 'before', power: true },
  { operation: 'sync', how: 'after', power: true },
  { operation: 'rename', how: 'before', power: true },
  { operation: 'rename', how: 'after', power: true },
  { operation: 'write', how: 'full' },
  { operation: 'sync', how: 'full' },
  { operation: 'sync', how: 'slow' },
  { how: 'kill' },
  { how: 'kill', power: true },
  { how: 'close' },
];
/** What every life comes to often enough: one that is to end by it ends by nothing else, however slow the machine is. */
const SURE = ['write', 'sync', 'create', 'syncNames'];
const DEADLY = ['before', 'after', 'torn'];
const PATIENCE_MS = 300_000;
/** Of a life that is to end by what does not come in every one. */
const RARE_MS = 400;
const OFTEN = { write: 60, sync: 60, create: 6, syncNames: 6, rename: 1, remove: 3 };

const total = { acknowledged: 0, alive: 0, reads: 0, notices: 0, violations: 0, ends: new Map() };
/** How much of each file, by inode, a loss of power leaves alone. */
const synced = new Map();
let persisted = [];
let since = 0;
let previous;
try {
  for (let cycle = 1; cycle <= cycles + 1; cycle++) {
    const end = cycle > cycles ? { how: 'close' } : ENDS[(cycle - 1) % ENDS.length];
    const millis = cycle > cycles ? 0 : 40 + random() * 60;
    const dies = DEADLY.includes(end.how);
    const deadly = dies && SURE.includes(end.operation);
    const life = await live(cycle, end, deadly ? PATIENCE_MS : dies ? RARE_MS : millis);
    if (deadly && !life.died) throw new Error(`cycle ${cycle}: ${JSON.stringify(end)} was not reached`);
    judge(previous, life);
    previous = life;
    if (end.power) losePower();
    const name = `${end.operation ?? ''} ${end.how}${end.power ? ' with the power' : ''}`.trim();
    total.ends.set(name, (total.ends.get(name) ?? 0) + (life.died || end.how === 'close' ? 1 : 0));
  }
  const rate = total.acknowledged / (total.alive / 1000);
  const ends = [...total.ends].map(([name, count]) => `${name} ${count}`).join(', ');
  console.log(
    `${cycles} cycles: ${total.acknowledged} commits acknowledged (${rate.toFixed(0)}/s alive), ${total.reads} reads, ${total.notices} watch notices, revision ${since}, no violation`,
  );
  console.log(`ended by: ${ends}`);
  if (rate < Number(values['min-rate']))
    throw new Error(`${rate.toFixed(0)} commits a second are too few to prove anything`);
  if (!values.keep) rmSync(base, { recursive: true, force: true });
} catch (error) {
  console.error(`seed ${seed}, files in ${base}: ${error.stack}`);
  process.exitCode = 1;
}

/** One process from start to end. */
async function live(cycle, end, millis) {
  mkdirSync(directory, { recursive: true });
  const plan = end.operation && { ...end, nth: 1 + Math.floor(random() * (OFTEN[end.operation] ?? 10)) };
  const argument = { directory, since, seed: Math.floor(random() * 2 ** 31), plan, millis, cycle };
  const child = spawn(process.execPath, [worker, JSON.stringify(argument)], { stdio: ['ignore', 'pipe', 'pipe'] });
  const life = { cycle, persisted: [], transactions: new Map(), reads: [], watches: new Map() };
  let errors = '';
  child.stderr.on('data', (data) => {
    errors += data;
  });
  const exit = new Promise((resolve) => child.on('close', (code, signal) => resolve({ code, signal })));
  let ready;
  let killer;
  for await (const line of createInterface({ input: child.stdout })) {
    if (values.keep) appendFileSync(join(base, `life-${cycle}`), `${line}\n`);
    let record;
    try {
      record = JSON.parse(line);
    } catch {
      break; // cut off by its death
    }
    const { t, ...rest } = record;
    if (t === 'call') life.transactions.set(rest.id, rest);
    else if (t === 'done') Object.assign(life.transactions.get(rest.id), rest);
    else if (t === 'read') life.reads.push(rest);
    else if (t === 'watch') life.watches.set(rest.id, { ...rest, notices: [] });
    else if (t === 'event') life.watches.get(rest.id).notices.push({ type: 'event', ...rest });
    else if (t === 'bookmark') life.watches.get(rest.id).notices.push({ type: 'bookmark', ...rest });
    else if (t === 'failed') throw new Error(`watch ${rest.id}: ${rest.message}`);
    else if (t === 'synced') {
      const until = synced.get(rest.ino) ?? 0;
      if (rest.from <= until) synced.set(rest.ino, Math.max(until, rest.until));
    } else if (t === 'truncated') synced.set(rest.ino, Math.min(synced.get(rest.ino) ?? 0, rest.length));
    else if (t === 'opened') life.opened = rest;
    else if (t === 'persisted') {
      const last = life.persisted.at(-1);
      if (last?.revision === rest.revision) last.changes.push([rest.key, rest.value]);
      else life.persisted.push({ revision: rest.revision, changes: [[rest.key, rest.value]] });
    } else if (t === 'ready') {
      ready = performance.now();
      if (end.how === 'kill') killer = setTimeout(() => child.kill('SIGKILL'), 5 + random() * millis);
    }
  }
  const { code, signal } = await exit;
  clearTimeout(killer);
  total.alive += ready === undefined ? 0 : performance.now() - ready;
  life.died = signal === 'SIGKILL';
  if (life.died) for (const watch of life.watches.values()) watch.cut = true;
  if (!life.died && code !== 0) throw new Error(`cycle ${cycle} ended with ${code}: ${errors}`);
  return life;
}

/** Judges a life by what the next one found. */
function judge(life, next) {
  // Died before it could tell: the one after it will.
  if (next.opened === undefined) {
    next.transactions = life?.transactions ?? new Map();
    next.reads = life?.reads ?? [];
    next.watches = life?.watches ?? new Map();
    return;
  }
  persisted.push(...next.persisted);
  const transactions = [...(life?.transactions.values() ?? [])];
  const reads = [
    ...(life?.reads ?? []),
    { id: `${next.cycle}.opened`, start: Number.POSITIVE_INFINITY, end: Number.POSITIVE_INFINITY, ...next.opened },
  ];
  const watches = [...(life?.watches.values() ?? [])];
  const violations = checkHistory({ since, persisted, transactions, reads, watches });
  total.acknowledged += transactions.filter(({ answer }) => answer && 'revision' in answer).length;
  total.reads += reads.length;
  total.notices += watches.reduce((sum, { notices }) => sum + notices.length, 0);
  if (violations.length > 0) {
    const file = join(base, 'history.json');
    writeFileSync(file, JSON.stringify({ since, persisted, transactions, reads, watches }));
    const lines = violations.slice(0, 20).map(({ rule, detail }) => `  ${rule}: ${detail.slice(0, 400)}`);
    throw new Error(`cycle ${life?.cycle} broke ${violations.length} rules:\n${lines.join('\n')}\nhistory in ${file}`);
  }
  since = Math.max(since, next.persisted.at(-1)?.revision ?? 0);
  persisted = recent(persisted);
}

/** Of the far past only what still stands. */
function recent(all) {
  if (all.length < 4000) return all;
  const old = all.slice(0, -2000);
  const last = new Map(
    old.flatMap(({ revision, changes }) => changes.map(([key, value]) => [key, { revision, value }])),
  );
  const kept = old
    .map(({ revision, changes }) => ({
      revision,
      changes: changes.filter(([key]) => last.get(key).revision === revision),
    }))
    .filter(({ changes }) => changes.length > 0);
  return [...kept, ...all.slice(-2000)];
}

/** What was written to a file after its last sync is there by chance, sector by sector. */
function losePower() {
  for (const name of readdirSync(directory)) {
    const file = join(directory, name);
    const until = synced.get(statSync(file).ino);
    if (until === undefined || !name.endsWith('.log')) continue;
    const bytes = readFileSync(file);
    const share = pick([0, 0.5, 0.9]);
    for (let at = until - (until % 512); at < bytes.length; at += 512)
      if (random() >= share) bytes.fill(0, Math.max(at, until), Math.min(at + 512, bytes.length));
    const length = pick([
      bytes.length,
      bytes.length,
      Math.max(until, Math.floor(until + random() * (bytes.length - until))),
    ]);
    writeFileSync(file, bytes.subarray(0, length));
    synced.set(statSync(file).ino, length);
  }
}
