import { humanDuration } from './duration.js';
import { type TableOptions, tableColumns, toTable } from './table.js';
import { ago, DAY, HOUR, MINUTE, NOW, object, SECOND, show } from './testing.js';

describe('human durations', () => {
  test.each([
    [-5 * SECOND, '<invalid>'],
    [-1 * SECOND, '0s'],
    [0, '0s'],
    [119 * SECOND, '119s'],
    [120 * SECOND, '2m'],
    [150 * SECOND, '2m30s'],
    [10 * MINUTE + 30 * SECOND, '10m'],
    [179 * MINUTE, '179m'],
    [3 * HOUR, '3h'],
    [3 * HOUR + 5 * MINUTE, '3h5m'],
    [8 * HOUR + 59 * MINUTE, '8h'],
    [47 * HOUR, '47h'],
    [2 * DAY, '2d'],
    [3 * DAY + 4 * HOUR, '3d4h'],
    [8 * DAY + 4 * HOUR, '8d'],
    [729 * DAY, '729d'],
    [730 * DAY, '2y'],
    [800 * DAY, '2y70d'],
    [3000 * DAY, '8y'],
  ])('%d ms is %s', (ms, text) => {
    expect(humanDuration(ms)).toBe(text);
  });
});

describe('tables', () => {
  const map = {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'a', uid: 'u', resourceVersion: '7' },
    data: {},
  };
  const resource = { group: '', resource: 'configmaps' };

  test('rows carry as much of the object as is asked for', () => {
    const rowObject = (includeObject?: TableOptions['includeObject']) =>
      toTable(resource, [map], { now: NOW, includeObject }).rows[0]!.object;
    expect(rowObject()).toEqual({
      kind: 'PartialObjectMetadata',
      apiVersion: 'meta.k8s.io/v1',
      metadata: map.metadata,
    });
    expect(rowObject('Object')).toBe(map);
    expect(rowObject('None')).toBeUndefined();
  });

  test('lists carry their metadata, single objects their version', () => {
    expect(toTable(resource, [map], { now: NOW }).metadata).toEqual({ resourceVersion: '7' });
    const metadata = { resourceVersion: '9', continue: 'token', remainingItemCount: 3 };
    expect(toTable(resource, [], { now: NOW, metadata }).metadata).toBe(metadata);
  });

  test('later events of a watch leave the definitions out', () => {
    const table = toTable(resource, [map], { now: NOW, definitions: false });
    expect(table.columnDefinitions).toEqual([]);
    expect(table.rows[0]!.cells).toHaveLength(tableColumns(resource).length);
    expect(toTable(resource, [], { now: NOW, apiVersion: 'meta.k8s.io/v1beta1' }).apiVersion).toBe(
      'meta.k8s.io/v1beta1',
    );
  });

  test('every definition is complete, as clients demand', () => {
    for (const column of tableColumns({ group: '', resource: 'pods' })) {
      expect(column).toEqual({
        name: expect.any(String),
        type: expect.any(String),
        format: expect.any(String),
        description: expect.any(String),
        priority: expect.any(Number),
      });
    }
    expect(tableColumns({ group: '', resource: 'pods' })[0]).toMatchObject({ name: 'Name', format: 'name' });
  });

  test('custom resources are printed by their own columns', () => {
    const columns = [
      { name: 'Color', type: 'string', jsonPath: '.spec.color' },
      { name: 'Size', type: 'integer', jsonPath: '.spec.size', priority: 1 },
      { name: 'Ready', type: 'string', jsonPath: '.status.conditions[?(@.type=="Ready")].status' },
      { name: 'Since', type: 'date', jsonPath: '.status.since' },
      { name: 'On', type: 'boolean', jsonPath: '.spec.on' },
      { name: 'Ratio', type: 'number', jsonPath: '.spec.ratio' },
      { name: 'Deep', type: 'string', jsonPath: '.spec.deep' },
    ];
    const full = object(
      { color: 'blue', size: 3.7, on: true, ratio: 0.5, deep: { a: 1 } },
      { status: { since: ago(HOUR), conditions: [{ type: 'Ready', status: 'True' }] } },
    );
    expect(show('shop.example/widgets', [full, object({ size: 'big' })], true, { columns })).toEqual([
      'NAME  COLOR  SIZE  READY  SINCE  ON  RATIO  DEEP',
      'x  blue  3  True  60m  true  0.5  {"a":1}',
      'x  <none>  <none>  <none>  <none>  <none>  <none>  <none>',
    ]);
    expect(show('shop.example/widgets', full, false, { columns: [] })).toEqual(['NAME  AGE', 'x  5m']);
  });
});
