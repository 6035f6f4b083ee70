#!/usr/bin/env node
/**
 * Two processes over an etcd cluster of three, each member and each process a machine of its own, while members are killed, halted
 * and cut off. Everything every client saw is then judged: linearizability and the properties of watches (api/store/proof).
 *
 *     node test/etcd/faults.mjs [--faults 8] [--seed N] [--min-rate 10] [--keep]
 */
import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { checkHistory } from '../../api/store/dist/proof/check.js';
import { chance } from '../store/clients.mjs';
import { Members } from './members.mjs';
import { Network } from './network.mjs';

const { values } = parseArgs({
  options: {
    faults: { type: 'string', default: '8' },
    seed: { type: 'string' },
    'min-rate': { type: 'string', default: '10' },
    keep: { type: 'boolean', default: false },
  },
});
const faults = Number(values.faults);
const seed = Number(values.seed ?? Math.floor(Date.now() % 1e9));
console.log(`seed ${seed}; again: node test/etcd/faults.mjs --faults ${faults} --seed ${seed}`);
const random = chance(seed);
const pick = (items) => items[Math.floor(random() * items.length)];
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

const base = mkdtempSync(join(tmpdir(), 'trimtab-etcd-faults-'));
const network = new Network(String(process.pid));
let members;
let homes;
const total = { acknowledged: 0, unknown: 0, reads: 0, notices: 0, alive: 0, longest: 0 };
const done = new Map();

/** What can befall them, each for a while; the processes write all along. */
const FAULTS = {
  async 'leader killed'() {
    const leader = await members.leader();
    await members.kill(leader);
    await pause(1500);
    members.begin(leader);
  },
  async 'follower killed'() {
    const leader = await members.leader();
    const follower = pick(members.all.filter((member) => member !== leader));
    await members.kill(follower);
    await pause(1000);
    members.begin(follower);
  },
  async 'leader cut off'() {
    const { machine } = await members.leader();
    machine.cut();
    await pause(3000);
    machine.mend();
  },
  async 'process cut off'() {
    const home = pick(homes);
    home.cut();
    await pause(1500);
    home.mend();
  },
  async 'leader halted'() {
    const { child } = await members.leader();
    child.kill('SIGSTOP');
    await pause(2500);
    child.kill('SIGCONT');
  },
  async 'process killed'(lives) {
    lives[0].child.kill('SIGKILL');
  },
  async 'two members killed'() {
    const [one, two] = members.all;
    await Promise.all([members.kill(one), members.kill(two)]);
    await pause(1000);
    members.begin(one);
    members.begin(two);
  },
};

const persisted = [];
let since = 0;
let life = 0;
try {
  members = new Members(network, base);
  homes = [network.machine('a', '10.77.0.1'), network.machine('b', '10.77.0.2')];
  await members.start();
  const names = Object.keys(FAULTS);
  const first = Math.floor(random() * names.length);
  for (let round = 0; round < faults; round++) {
    const name = names[(first + round) % names.length];
    const lives = homes.map((home) => live(home, { millis: 5000 }));
    await Promise.all(lives.map(({ ready }) => ready));
    await pause(200 + random() * 500);
    await FAULTS[name](lives);
    done.set(name, (done.get(name) ?? 0) + 1);
    const seen = await Promise.all(lives.map(({ over }) => over));
    const teller = live(homes[0], { tell: true });
    await judge(name, seen, await teller.over);
  }
  const rate = total.acknowledged / (total.alive / 1000);
  console.log(
    `${faults} faults: ${total.acknowledged} commits acknowledged (${rate.toFixed(0)}/s for each process), ${total.unknown} without an answer, ${total.reads} reads, ${total.notices} watch notices, revision ${since}, longest wait for a commit ${(total.longest / 1000).toFixed(1)} s, no violation`,
  );
  console.log([...done].map(([fault, count]) => `${fault} ${count}`).join(', '));
  if (rate < Number(values['min-rate']))
    throw new Error(`${rate.toFixed(0)} commits a second are too few to prove anything`);
} catch (error) {
  console.error(`seed ${seed}: ${error.stack}${values.keep ? `\nfiles in ${base}` : ''}`);
  process.exitCode = 1;
} finally {
  await members?.stop();
  network.remove();
  if (!values.keep) rmSync(base, { recursive: true, force: true });
}

/** One process from start to end. */
function live(home, more) {
  const name = `${home.name}${++life}`;
  const argument = { endpoints: members.endpoints, since, seed: Math.floor(random() * 2 ** 31), name, ...more };
  const worker = fileURLToPath(new URL('./worker.mjs', import.meta.url));
  const child = home.spawn(process.execPath, [worker, JSON.stringify(argument)], { stdio: ['ignore', 'pipe', 'pipe'] });
  const seen = { name, transactions: new Map(), reads: [], watches: new Map(), persisted: [] };
  let errors = '';
  child.stderr.on('data', (text) => {
    errors += text;
  });
  const closed = new Promise((resolve) => child.on('close', (code, signal) => resolve({ code, signal })));
  let isReady;
  const ready = new Promise((resolve) => {
    isReady = resolve;
  });
  const over = (async () => {
    let began;
    for await (const line of createInterface({ input: child.stdout })) {
      if (values.keep) appendFileSync(join(base, `life-${name}`), `${line}\n`);
      let record;
      try {
        record = JSON.parse(line);
      } catch {
        break; // cut off by its death
      }
      const { t, ...rest } = record;
      if (t === 'call') seen.transactions.set(rest.id, rest);
      else if (t === 'done') Object.assign(seen.transactions.get(rest.id), rest);
      else if (t === 'read') seen.reads.push(rest);
      else if (t === 'watch') seen.watches.set(rest.id, { ...rest, notices: [] });
      else if (t === 'event') seen.watches.get(rest.id).notices.push({ type: 'event', ...rest });
      else if (t === 'bookmark') seen.watches.get(rest.id).notices.push({ type: 'bookmark', ...rest });
      else if (t === 'failed') throw new Error(`watch ${rest.id}: ${rest.message}`);
      else if (t === 'persisted') {
        const last = seen.persisted.at(-1);
        if (last?.revision === rest.revision) last.changes.push([rest.key, rest.value]);
        else seen.persisted.push({ revision: rest.revision, changes: [[rest.key, rest.value]] });
      } else if (t === 'ready') {
        began = performance.now();
        isReady();
      }
    }
    const { code, signal } = await closed;
    isReady();
    if (began !== undefined) total.alive += performance.now() - began;
    if (signal !== 'SIGKILL' && code !== 0) throw new Error(`${name} ended with ${code}: ${errors}`);
    return seen;
  })();
  // Waited for later; until then a failure is nobody's.
  over.catch(() => isReady());
  return { child, ready, over };
}

async function judge(fault, lives, teller) {
  persisted.push(...teller.persisted);
  const transactions = lives.flatMap((seen) => [...seen.transactions.values()]);
  const reads = [...lives, teller].flatMap((seen) => seen.reads);
  const watches = lives.flatMap((seen) => [...seen.watches.values()]);
  const history = { since, persisted, transactions, reads, watches };
  const violations = checkHistory(history);
  const answered = transactions.filter(({ answer }) => answer && 'revision' in answer);
  total.acknowledged += answered.length;
  total.unknown += transactions.filter(({ answer }) => answer === undefined).length;
  total.longest = Math.max(total.longest, ...answered.map(({ start, end }) => end - start));
  total.reads += reads.length;
  total.notices += watches.reduce((sum, { notices }) => sum + notices.length, 0);
  if (violations.length > 0) {
    if (values.keep) writeFileSync(join(base, 'history.json'), JSON.stringify(history));
    const lines = violations.slice(0, 20).map(({ rule, detail }) => `  ${rule}: ${detail.slice(0, 400)}`);
    throw new Error(`${fault}: broke ${violations.length} rules:\n${lines.join('\n')}`);
  }
  since = Math.max(since, teller.persisted.at(-1)?.revision ?? 0);
}
