import { runInMemory, type TestRun } from '@trimtab/framework';
import { type CronJob, CronJobs, Events, Jobs, Pods, serviceUnavailable, timestamp } from '@trimtab/machinery';
import { jobController } from '../job/controller.js';
import { simulatedNode } from '../simulated-node.js';
import { cronJobController } from './controller.js';
import { localTime, zonedTimestamp } from './local-time.js';
import { parseSchedule } from './schedule.js';

const key = { namespace: 'ns', name: 'tick' };
const cronJob = (spec: object = {}): CronJob => ({
  metadata: key,
  spec: {
    schedule: '*/10 * * * *',
    jobTemplate: {
      metadata: { labels: { of: 'tick' }, annotations: { a: 'b' } },
      spec: {
        selector: { matchLabels: { run: 'tick' } },
        template: {
          metadata: { labels: { run: 'tick' } },
          spec: { restartPolicy: 'Never', containers: [{ name: 'c', image: 'v1' }] },
        },
        completions: 1,
      },
    },
    ...spec,
  },
});

/** Pods run for so long. */
function start(runsMs = 5_000, fails = false): Promise<TestRun> {
  const status = { phase: fails ? 'Failed' : 'Succeeded' };
  const node = simulatedNode({ ends: () => ({ afterMs: runsMs, status }) });
  return runInMemory([cronJobController, jobController, node]);
}
const MINUTE = 60_000;
const status = (t: TestRun) => t.client.find(CronJobs, key)!.status ?? {};
const patch = (t: TestRun, spec: object) => t.client.patch(CronJobs, key, { type: 'merge', body: { spec } });
const jobs = (t: TestRun) => t.client.all(Jobs).map(({ metadata }) => metadata.name!);
const made = (t: TestRun) => t.client.writes.filter((line) => line.startsWith('create jobs')).length;
const reasons = (t: TestRun) => t.client.all(Events).map((each) => each.reason);

test('starts a Job on time, named after the minute, and keeps the last three', async () => {
  const t = await start();
  const begin = t.clock.now();
  await t.client.create(CronJobs, cronJob());
  await t.pass(9 * MINUTE);
  expect(jobs(t)).toEqual([]);
  await t.pass(MINUTE + 1_000);
  const at = begin + 10 * MINUTE;
  const [job] = t.client.all(Jobs);
  expect(job!.metadata).toMatchObject({
    name: `tick-${at / MINUTE}`,
    labels: { of: 'tick' },
    annotations: { a: 'b', 'batch.kubernetes.io/cronjob-scheduled-timestamp': timestamp(at) },
    ownerReferences: [{ kind: 'CronJob', name: 'tick', controller: true }],
  });
  expect(status(t)).toMatchObject({
    active: [{ kind: 'Job', name: job!.metadata.name }],
    lastScheduleTime: timestamp(at),
  });
  await t.pass(30_000);
  expect(status(t).active).toBeUndefined();
  expect(status(t).lastSuccessfulTime).toBeDefined();
  await t.pass(4 * 60 * MINUTE);
  expect(made(t)).toBe(25);
  expect(jobs(t)).toHaveLength(3);
  expect(reasons(t)).toEqual(expect.arrayContaining(['SuccessfulCreate', 'SawCompletedJob', 'SuccessfulDelete']));
  expect(reasons(t)).not.toContain('UnexpectedJob');
});

test('Forbid waits for the run before, Replace ends it, Allow does neither', async () => {
  for (const [concurrencyPolicy, running, total] of [
    ['Forbid', 1, 1],
    ['Replace', 1, 3],
    ['Allow', 3, 3],
  ] as const) {
    const t = await start(60 * MINUTE);
    await t.client.create(CronJobs, cronJob({ concurrencyPolicy }));
    await t.pass(31 * MINUTE);
    expect([concurrencyPolicy, jobs(t).length, made(t)]).toEqual([concurrencyPolicy, running, total]);
    expect(status(t).active).toHaveLength(running);
    if (concurrencyPolicy === 'Forbid') expect(reasons(t)).toContain('JobAlreadyActive');
    await t.stop();
  }
});

test('suspended it starts nothing; afterwards one missed run is made up for, unless it is too late for it', async () => {
  for (const startingDeadlineSeconds of [undefined, 60]) {
    const t = await start();
    await t.client.create(
      CronJobs,
      cronJob({ suspend: true, ...(startingDeadlineSeconds ? { startingDeadlineSeconds } : {}) }),
    );
    await t.pass(25 * 60 * MINUTE + 5 * MINUTE);
    expect(jobs(t)).toEqual([]);
    await patch(t, { suspend: false });
    await t.pass(2 * MINUTE);
    expect(jobs(t)).toHaveLength(startingDeadlineSeconds ? 0 : 1);
    expect(reasons(t).includes('TooManyMissedTimes')).toBe(!startingDeadlineSeconds);
    await t.pass(10 * MINUTE);
    expect(jobs(t)).toHaveLength(startingDeadlineSeconds ? 1 : 2);
    await t.stop();
  }
});

test('failed runs are kept by their own limit; a schedule nobody can read is refused', async () => {
  const t = await start(1_000, true);
  await t.client.create(
    CronJobs,
    cronJob({ jobTemplate: { spec: { ...cronJob().spec.jobTemplate.spec, backoffLimit: 0 } } }),
  );
  await t.pass(61 * MINUTE);
  expect(jobs(t)).toHaveLength(1);
  expect(status(t).lastSuccessfulTime).toBeUndefined();
  await patch(t, { schedule: '61 * * * *' });
  await t.pass(60 * MINUTE);
  expect(made(t)).toBe(6);
  expect(t.client.all(Events).map(({ message }) => message)).toContain(
    'unparseable schedule "61 * * * *": 61 is not between 0 and 59',
  );
});

test('a crash after any write starts no run twice and loses none', async () => {
  for (let crash = 1; crash <= 12; crash++) {
    let t = await start();
    let writes = 0;
    let crashed = false;
    t.client.after = (call) => {
      if (crashed || call.verb === 'get' || call.verb === 'list' || call.resource === 'events') return;
      if (++writes < crash) return;
      crashed = true;
      throw serviceUnavailable('lost');
    };
    await t.client.create(CronJobs, cronJob()).catch(() => {});
    for (let i = 0; i < 25 && !crashed; i++) await t.pass(MINUTE);
    t = await t.restart();
    await t.pass(40 * MINUTE + 30_000);
    const runs = Math.floor((t.clock.now() - Date.parse('2026-01-01T00:00:00Z')) / (10 * MINUTE));
    expect([crash, made(t)]).toEqual([crash, runs]);
    expect(t.client.all(Pods).length).toBeGreaterThanOrEqual(3);
    expect(status(t).active).toBeUndefined();
    await t.stop();
  }
});

const utc = (text: string) => Date.parse(text);
const runs = (schedule: string, from: string, count: number, zone?: string) => {
  const parsed = parseSchedule(schedule, zone);
  const found: string[] = [];
  for (let at: number | undefined = utc(from); found.length < count; ) {
    at = parsed.next(at);
    if (at === undefined) break;
    found.push(timestamp(at));
  }
  return found;
};

test('schedules are read as cron reads them', () => {
  expect(runs('30 2 * * *', '2026-01-01T02:30:00Z', 2)).toEqual(['2026-01-02T02:30:00Z', '2026-01-03T02:30:00Z']);
  expect(runs('0 9-17/4 * jan-feb mon,FRI', '2026-01-01T00:00:00Z', 4)).toEqual([
    '2026-01-02T09:00:00Z',
    '2026-01-02T13:00:00Z',
    '2026-01-02T17:00:00Z',
    '2026-01-05T09:00:00Z',
  ]);
  // A day of the month or a day of the week, where both are given.
  expect(runs('0 0 13 * 5', '2026-03-01T00:00:00Z', 4)).toEqual([
    '2026-03-06T00:00:00Z',
    '2026-03-13T00:00:00Z',
    '2026-03-20T00:00:00Z',
    '2026-03-27T00:00:00Z',
  ]);
  expect(runs('50/5 * * * *', '2026-01-01T00:00:00Z', 2)).toEqual(['2026-01-01T00:50:00Z', '2026-01-01T00:55:00Z']);
  expect(runs('0 0 29 2 *', '2026-01-01T00:00:00Z', 1)).toEqual(['2028-02-29T00:00:00Z']);
  expect(runs('0 0 30 2 *', '2026-01-01T00:00:00Z', 1)).toEqual([]);
  expect(runs('@hourly', '2026-01-01T00:00:01Z', 1)).toEqual(['2026-01-01T01:00:00Z']);
  expect(runs('@weekly', '2026-01-01T00:00:00Z', 1)).toEqual(['2026-01-04T00:00:00Z']);
  expect(runs('@every 1h30m', '2026-01-01T00:00:00Z', 2)).toEqual(['2026-01-01T01:30:00Z', '2026-01-01T03:00:00Z']);
  for (const bad of ['* * * *', '@fortnightly', '*/0 * * * *', '0 24 * * *', 'x * * * *'])
    expect(() => parseSchedule(bad, undefined)).toThrow();
  expect(() => parseSchedule('* * * * *', 'Mars/Olympus')).toThrow(RangeError);
});

test('in a time zone: summer time moves runs, skips those that do not exist, and days of 23 and 25 hours are days', () => {
  const berlin = 'Europe/Berlin';
  expect(runs('0 9 * * *', '2026-03-27T12:00:00Z', 3, berlin)).toEqual([
    '2026-03-28T08:00:00Z',
    '2026-03-29T07:00:00Z',
    '2026-03-30T07:00:00Z',
  ]);
  expect(runs('30 2 * * *', '2026-03-28T00:00:00Z', 2, berlin)).toEqual([
    '2026-03-28T01:30:00Z',
    '2026-03-30T00:30:00Z',
  ]);
  expect(runs('0 0 * * *', '2026-10-24T12:00:00Z', 2, berlin)).toEqual([
    '2026-10-24T22:00:00Z',
    '2026-10-25T23:00:00Z',
  ]);
  expect(zonedTimestamp(utc('2026-07-01T00:00:00Z'), berlin)).toBe('2026-07-01T02:00:00+02:00');
  expect(zonedTimestamp(utc('2026-01-01T00:00:00Z'), 'America/St_Johns')).toBe('2025-12-31T20:30:00-03:30');
  expect(localTime('Asia/Kolkata')(utc('2026-01-01T00:00:00Z'))).toMatchObject({ hour: 5, minute: 30, weekday: 4 });
});
