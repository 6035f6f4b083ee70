import { checkHistory } from './check.js';
import type { History, RecordedWatch, WatchNotice } from './history.js';

interface Draft extends History {
  readonly persisted: History['persisted'][number][];
  readonly transactions: History['transactions'][number][];
  readonly reads: History['reads'][number][];
  readonly watches: History['watches'][number][];
}

/** A flawless history: two keys written at 1 to 5, read in between, watched from 0 and from 2. */
function flawless(): Draft {
  const persisted: Draft['persisted'] = [
    { revision: 1, changes: [['p/a', '1']] },
    { revision: 2, changes: [['p/b', '2']] },
    {
      revision: 3,
      changes: [
        ['p/a', '3'],
        ['p/b', '3b'],
      ],
    },
    { revision: 4, changes: [['q/c', '4']] },
    { revision: 7, changes: [['p/a', null]] },
  ];
  const expects = [[['p/a', 0]], [], [['p/a', 1]], [], [['p/a', 3]]] as const;
  return {
    persisted,
    transactions: [
      ...persisted.map(({ revision, changes }, i) => ({
        id: `t${revision}`,
        start: i * 10,
        end: i * 10 + 5,
        request: { expects: expects[i]!, changes },
        answer: { revision },
      })),
      {
        id: 'conflicting',
        start: 22,
        end: 28,
        request: { expects: [['p/a', 1]], changes: [['p/a', 'x']] },
        answer: { conflict: { key: 'p/a', actual: 3 } },
      },
      { id: 'lost', start: 48, request: { expects: [], changes: [['p/a', 'lost']] } },
    ],
    reads: [
      {
        id: 'all',
        start: 11,
        end: 17,
        revision: 2,
        entries: [
          ['p/a', 1, '1'],
          ['p/b', 2, '2'],
        ],
      },
      { id: 'one', start: 30, end: 36, revision: 4, key: 'p/b', entries: [['p/b', 3, '3b']] },
    ],
    watches: [
      { id: 'w', from: 0, prefix: 'p/', notices: notices() },
      { id: 'v', from: 2, prefix: 'p/', notices: [...notices().slice(2), { type: 'bookmark', revision: 9 }] },
    ],
  };
}

function notices(): WatchNotice[] {
  return [
    { type: 'event', revision: 1, key: 'p/a', value: '1', previous: null },
    { type: 'event', revision: 2, key: 'p/b', value: '2', previous: null },
    { type: 'event', revision: 3, key: 'p/a', value: '3', previous: '1' },
    { type: 'event', revision: 3, key: 'p/b', value: '3b', previous: '2' },
    { type: 'bookmark', revision: 4 },
    { type: 'event', revision: 7, key: 'p/a', value: null, previous: '3' },
  ];
}

const rules = (history: Draft): string[] => [...new Set(checkHistory(history).map(({ rule }) => rule))].sort();

test('a flawless history has no violation', () => {
  expect(checkHistory(flawless())).toEqual([]);
});

describe('planted in the writes and reads,', () => {
  test.each<[string, (h: Draft) => void]>([
    ['ascending', (h) => h.persisted.splice(1, 2, h.persisted[2]!, h.persisted[1]!)],
    ['durable', (h) => h.persisted.splice(4, 1)],
    ['unasked', (h) => h.persisted.push({ revision: 8, changes: [['p/z', 'who?']] })],
    [
      'twice',
      (h) => h.persisted.push({ revision: 8, changes: [['p/a', 'lost']] }, { revision: 9, changes: [['p/a', 'lost']] }),
    ],
    ['refused', (h) => h.persisted.push({ revision: 8, changes: [['p/a', 'x']] })],
    [
      'expectation',
      (h) => replace(h.transactions, 't3', { request: { expects: [['p/a', 2]], changes: h.persisted[2]!.changes } }),
    ],
    ['real-time', (h) => replace(h.transactions, 't2', { start: 26, end: 29 })],
    ['conflict', (h) => replace(h.transactions, 'conflicting', { answer: { conflict: { key: 'p/a', actual: 2 } } })],
    ['conflict', (h) => replace(h.transactions, 'conflicting', { start: 46, end: 47 })],
    ['stale-read', (h) => replace(h.reads, 'all', { start: 26, end: 29 })],
    ['future-read', (h) => replace(h.reads, 'one', { revision: 12 })],
    ['read-state', (h) => replace(h.reads, 'one', { entries: [] })],
    [
      'read-state',
      (h) =>
        replace(h.reads, 'all', {
          entries: [
            ['p/a', 1, '1'],
            ['p/b', 2, 'other'],
          ],
        }),
    ],
    [
      'read-state',
      (h) =>
        replace(h.reads, 'all', {
          entries: [
            ['p/a', 1, '1'],
            ['p/b', 2, '2'],
            ['r', 2, '2'],
          ],
        }),
    ],
  ])('a breach of %s is found', (rule, plant) => {
    const history = flawless();
    plant(history);
    expect(rules(history)).toContain(rule);
  });
});

test('the first to be refused in a new life may be told of what the last life left', () => {
  const history = { ...flawless(), since: 7, reads: [], watches: [] };
  const first = {
    id: 'first',
    start: 100,
    end: 101,
    request: { expects: [['p/b', 0]], changes: [['p/b', 'x']] },
  } as const;
  const told = (actual: number) => [{ ...first, answer: { conflict: { key: 'p/b', actual } } }];
  expect(rules({ ...history, transactions: told(3) })).toEqual([]);
  expect(rules({ ...history, transactions: told(2) })).toEqual(['conflict']);
});

describe('planted in a watch,', () => {
  const swap = (n: WatchNotice[], i: number, j: number) => {
    [n[i], n[j]] = [n[j]!, n[i]!];
  };
  test.each<[string, (n: WatchNotice[]) => void]>([
    ['filter', (n) => n.splice(4, 0, { type: 'event', revision: 4, key: 'q/c', value: '4', previous: null })],
    ['ordered', (n) => swap(n, 0, 1)],
    ['ordered', (n) => n.splice(5, 0, { type: 'bookmark', revision: 2 })],
    ['unique', (n) => n.splice(1, 0, n[0]!)],
    ['atomic', (n) => n.splice(3, 1)],
    ['atomic', (n) => n.push(...n.splice(3, 1))],
    ['reliable', (n) => n.splice(1, 1)],
    ['resumable', (n) => n.splice(0, 1)],
    ['bookmarkable', (n) => n.splice(2, 0, { type: 'bookmark', revision: 3 })],
    ['bookmarkable', (n) => n.splice(5, 1, { type: 'bookmark', revision: 7 })],
    ['prevKV', (n) => n.splice(2, 1, { ...(n[2] as Extract<WatchNotice, { type: 'event' }>), previous: 'other' })],
    ['isCreate', (n) => n.splice(2, 1, { ...(n[2] as Extract<WatchNotice, { type: 'event' }>), previous: null })],
    ['isCreate', (n) => n.splice(1, 1, { ...(n[1] as Extract<WatchNotice, { type: 'event' }>), previous: 'some' })],
    ['durable', (n) => n.push({ type: 'event', revision: 8, key: 'p/a', value: 'never', previous: null })],
  ])('a breach of %s is found', (rule, plant) => {
    const history = flawless();
    const planted = notices();
    plant(planted);
    replace(history.watches, 'w', { notices: planted });
    expect(rules(history)).toContain(rule);
  });

  test('a watcher that was killed may have missed the rest of a revision, no other one may', () => {
    const history = flawless();
    const half = notices().slice(0, 3);
    replace(history.watches, 'w', { notices: half });
    expect(rules(history)).toContain('atomic');
    replace(history.watches, 'w', { notices: half, cut: true } satisfies Partial<RecordedWatch>);
    expect(rules(history)).toEqual([]);
  });

  test('an event before where it was resumed is found', () => {
    const history = flawless();
    replace(history.watches, 'v', { notices: notices().slice(1) } satisfies Partial<RecordedWatch>);
    expect(rules(history)).toContain('resumable');
  });
});

function replace<T extends { readonly id: string }>(items: T[], id: string, change: Partial<T>): void {
  const at = items.findIndex((item) => item.id === id);
  items[at] = { ...items[at]!, ...change };
}
