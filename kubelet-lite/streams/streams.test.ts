import * as fs from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import type { LogOptions } from '@trimtab/client';
import { silentLogger, VirtualClock } from '@trimtab/machinery';
import { NodeUnderTest } from '../testing/node-under-test.js';
import { GoneLogs } from './gone-logs.js';
import { logTail, readLog } from './log-reader.js';
import { rotateLogs } from './log-rotation.js';
import { PodStreams } from './node-streams.js';

const T = '2026-01-01T00:00:0';
const lines = [
  `${T}1.000000001Z stdout F one`,
  `${T}2.000000001Z stderr P tw`,
  `${T}2.100000001Z stdout F between`,
  `${T}2.200000001Z stderr F o`,
  `${T}3.000000001Z stdout F `,
  `${T}4.000000001Z stdout F four`,
];

let dir: string;
let path: string;
beforeEach(async () => {
  dir = await fs.mkdtemp(join(tmpdir(), 'logs-'));
  path = join(dir, '0.log');
  await fs.writeFile(path, `${lines.join('\n')}\n`);
});
afterEach(() => fs.rm(dir, { recursive: true, force: true }));

async function all(options: Partial<LogOptions>): Promise<string> {
  const source = { path, ended: Promise.resolve(), now: Date.parse(`${T}5Z`), signal: new AbortController().signal };
  const parts: Buffer[] = [];
  for await (const part of readLog(source, { container: 'main', ...options })) parts.push(part);
  return Buffer.concat(parts).toString();
}

describe('reading logs', () => {
  test('joins parts, and honours tail, since, limit and timestamps', async () => {
    expect(await all({})).toBe('one\ntwbetween\no\n\nfour\n');
    expect(await all({ tailLines: 2 })).toBe('\nfour\n');
    expect(await all({ tailLines: 0 })).toBe('');
    expect(await all({ tailLines: 99 })).toContain('one\n');
    expect(await all({ sinceSeconds: 2 })).toBe('\nfour\n');
    expect(await all({ sinceTime: `${T}4.000000000Z` })).toBe('four\n');
    expect(await all({ limitBytes: 6 })).toBe('one\ntw');
    expect(await all({ timestamps: true, tailLines: 1 })).toBe(`${T}4.000000001Z four\n`);
    expect(await logTail(path, 80, 5)).toBe('four\n');
  });

  test('a line cut off by a crash is left out, not made up', async () => {
    await fs.appendFile(path, `${T}5Z stdout`);
    expect(await all({ tailLines: 1 })).not.toContain('stdout');
  });

  test('follows what is written, across a rotation, until the container has ended', async () => {
    let end: () => void = () => {};
    const ended = new Promise<void>((resolve) => (end = resolve));
    const source = { path, ended, now: 0, signal: new AbortController().signal };
    const reader = readLog(source, { container: 'main', follow: true, tailLines: 1 });
    const next = async () => String((await reader.next()).value);
    expect(await next()).toBe('four\n');
    const pending = next();
    await fs.appendFile(path, `${T}6Z stdout F five\n`);
    expect(await pending).toBe('five\n');
    const after = next();
    await fs.rename(path, `${path}.old`);
    await fs.writeFile(path, `${T}7Z stdout F six\n`);
    expect(await after).toBe('six\n');
    await fs.appendFile(path, `${T}8Z stdout F last\n`);
    end();
    expect(await next()).toBe('last\n');
    expect((await reader.next()).done).toBe(true);
  });
});

test('logs are rotated by size: reopened at once, older ones packed, the oldest dropped', async () => {
  const clock = new VirtualClock();
  const reopened: string[] = [];
  let rounds = 0;
  const finished: (() => void)[] = [];
  const stop = rotateLogs({
    clock,
    logger: silentLogger,
    maxBytes: 100,
    maxFiles: 4,
    logs: () => {
      rounds++;
      return [{ containerId: 'c', path }];
    },
    reopen: async (id) => {
      reopened.push(id);
      await fs.writeFile(path, `round ${rounds} ${'x'.repeat(200)}\n`);
      for (const done of finished.splice(0)) done();
    },
  });
  for (let i = 0; i < 5; i++) {
    const done = new Promise<void>((resolve) => finished.push(resolve));
    await clock.advance(10_000);
    await done;
    // The round arms the next one once its file work is over.
    while (clock.nextDue() === undefined) await new Promise((resolve) => setImmediate(resolve));
  }
  stop();
  expect(reopened).toHaveLength(5);
  const files = (await fs.readdir(dir)).sort();
  expect(files.map((name) => name.replace(/\d{8}-\d{6}/, 'time'))).toEqual([
    '0.log',
    '0.log.time.gz',
    '0.log.time.gz',
    '0.log.time',
  ]);
  const packed = gunzipSync(await fs.readFile(join(dir, files.find((name) => name.endsWith('.gz'))!)));
  expect(packed.toString()).toMatch(/^round 2 /);
});

test('streams refuse in the words kubectl users know', async () => {
  const node = await NodeUnderTest.start();
  const pod = await node.run({ name: 'web', containers: [{ name: 'main', image: 'web:1' }] });
  const streams = new PodStreams({
    pods: node.node!.pods,
    runtime: node.runtime,
    clock: node.clock,
    logPath: () => path,
  });
  const ref = { namespace: 'default', name: 'web', uid: pod.metadata.uid! };
  const { signal } = new AbortController();
  const logs = async (options: Partial<LogOptions>): Promise<string> => {
    const parts: Buffer[] = [];
    for await (const part of await streams.logs(ref, { container: 'main', ...options }, signal))
      parts.push(part as Buffer);
    return Buffer.concat(parts).toString();
  };
  expect(await logs({ tailLines: 1 })).toBe('four\n');
  await expect(logs({ container: 'nope' })).rejects.toThrow('container nope is not valid for pod web');
  await expect(logs({ previous: true })).rejects.toThrow('previous terminated container "main" in pod "web" not found');
  await expect(streams.logs({ ...ref, uid: 'other' }, { container: 'main' }, signal)).rejects.toMatchObject({
    code: 404,
  });
  await node.exit('web', 'main', 1);
  await node.exit('web', 'main', 1);
  const io = { container: 'main', stdin: false, stdout: true, stderr: true, tty: false };
  await expect(streams.exec(ref, { ...io, command: ['sh'] })).rejects.toThrow('container not found ("main")');
});

describe('a log that has been rotated', () => {
  const line = (n: number) => `${T}${n}.000000001Z stdout F line ${n}\n`;
  const read = async (options: Partial<LogOptions> = {}): Promise<string> => {
    const signal = new AbortController().signal;
    const source = { path, ended: Promise.resolve(), now: Date.parse(`${T}9Z`), signal };
    const parts: Buffer[] = [];
    for await (const part of readLog(source, { container: '', ...options })) parts.push(part);
    return Buffer.concat(parts).toString();
  };
  const wanted = (...numbers: number[]) => numbers.map((n) => `line ${n}\n`).join('');

  beforeEach(async () => {
    await fs.writeFile(`${path}.20260101-000002.gz`, gzipSync(line(1) + line(2)));
    await fs.writeFile(`${path}.20260101-000004`, line(3) + line(4));
    await fs.writeFile(path, line(5) + line(6));
  });

  test('is one log, packed files included', async () => {
    expect(await read()).toBe(wanted(1, 2, 3, 4, 5, 6));
    expect(await read({ limitBytes: 10 })).toBe('line 1\nlin');
    expect(await read({ sinceSeconds: 5 })).toBe(wanted(4, 5, 6).slice(0));
  });

  test.each([0, 1, 2, 3, 4, 5, 6, 7])('its last %i lines are found in as many files as it takes', async (tailLines) => {
    const all = [1, 2, 3, 4, 5, 6];
    expect(await read({ tailLines })).toBe(wanted(...(tailLines === 0 ? [] : all.slice(-tailLines))));
  });

  test('while a file is being packed it is read once', async () => {
    await fs.writeFile(`${path}.20260101-000002`, line(1) + line(2));
    await fs.writeFile(`${path}.20260101-000004.gz.tmp`, 'half');
    expect(await read()).toBe(wanted(1, 2, 3, 4, 5, 6));
  });
});

describe('logs of pods that are gone', () => {
  const pod = (name: string) =>
    ({ metadata: { namespace: 'default', name, uid: `uid-${name}` }, spec: { containers: [] } }) as never;
  const clock = new VirtualClock();
  const archive = (maxBytes: number) =>
    new GoneLogs({ directory: join(dir, 'gone'), maxBytes, clock, logger: silentLogger });
  const leave = async (gone: GoneLogs, name: string, ...attempts: string[]) => {
    const from = join(dir, 'logs', name);
    await fs.mkdir(join(from, 'main'), { recursive: true });
    for (const [i, text] of attempts.entries())
      await fs.writeFile(join(from, 'main', `${i}.log`), `${T}1Z stdout F ${text}\n`);
    await gone.keep(pod(name), from);
    await clock.advance(1_000);
  };
  const read = async (gone: GoneLogs, name: string, options: Partial<LogOptions> = {}, attempt?: number) => {
    const of = { namespace: 'default', pod: name, ...(attempt === undefined ? {} : { attempt }) };
    const log = await gone.open(of, { container: 'main', ...options }, new AbortController().signal);
    const parts: Buffer[] = [];
    for await (const part of log ?? []) parts.push(part);
    return log && Buffer.concat(parts).toString();
  };

  test('are listed and read, the newest first, also by the next kubelet', async () => {
    await leave(archive(1 << 20), 'web', 'first', 'second');
    await leave(archive(1 << 20), 'db', 'only');
    const gone = archive(1 << 20);
    expect((await gone.list()).map(({ pod: name, containers }) => [name, containers])).toEqual([
      ['db', [{ name: 'main', attempts: [0] }]],
      ['web', [{ name: 'main', attempts: [0, 1] }]],
    ]);
    expect(await read(gone, 'web')).toBe('second\n');
    expect(await read(gone, 'web', { previous: true })).toBe('first\n');
    expect(await read(gone, 'web', {}, 0)).toBe('first\n');
    expect(await read(gone, 'db', { previous: true })).toBeUndefined();
    expect(await read(gone, 'nobody')).toBeUndefined();
  });

  test('stay within their budget: the oldest go', async () => {
    const gone = archive(40 * 1024);
    for (const name of ['a', 'b', 'c', 'd', 'e']) await leave(gone, name, name);
    const left = (await gone.list()).map(({ pod: name }) => name);
    expect(left.length).toBeGreaterThan(1);
    expect(left).toEqual(['e', 'd', 'c', 'b', 'a'].slice(0, left.length));
    expect(left.length).toBeLessThan(5);
    const none = archive(0);
    await leave(none, 'f', 'f');
    expect(await read(none, 'f')).toBeUndefined();
    expect(await fs.readdir(join(dir, 'logs'))).toEqual([]);
  });
});
