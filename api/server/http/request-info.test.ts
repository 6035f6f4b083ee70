import { systemClock, VirtualClock } from '@trimtab/machinery';
import { accessOf, managerOf } from './handle.js';
import { negotiate } from './negotiation.js';
import { parseRequest } from './request-info.js';
import { Seats } from './seats.js';

test.each([
  ['GET', '/api/v1/namespaces/default/pods', 'list', '/v1/default/pods//'],
  ['GET', '/api/v1/pods?watch=true', 'watch', '/v1//pods//'],
  ['GET', '/api/v1/pods?watch=false', 'list', '/v1//pods//'],
  ['GET', '/api/v1/watch/namespaces/default/pods', 'watch', '/v1/default/pods//'],
  ['GET', '/api/v1/pods?fieldSelector=metadata.name%3Dp,spec.nodeName%3Dn', 'list', '/v1//pods//p'],
  ['GET', '/api/v1/namespaces/team', 'get', '/v1/team/namespaces//team'],
  ['PUT', '/api/v1/namespaces/team/finalize', 'update', '/v1/team/namespaces/finalize/team'],
  ['POST', '/apis/apps/v1/namespaces/a/deployments', 'create', 'apps/v1/a/deployments//'],
  ['PATCH', '/apis/apps/v1/namespaces/a/deployments/d/scale', 'patch', 'apps/v1/a/deployments/scale/d'],
  [
    'DELETE',
    '/apis/rbac.authorization.k8s.io/v1/clusterroles/a%3Ab',
    'delete',
    'rbac.authorization.k8s.io/v1//clusterroles//a:b',
  ],
  ['DELETE', '/api/v1/namespaces/a/pods', 'deletecollection', '/v1/a/pods//'],
  ['POST', '/api/v1/namespaces/a/pods/p/exec?command=ls', 'create', '/v1/a/pods/exec/p'],
])('%s %s is %s of %s', (method, url, verb, place) => {
  const info = parseRequest(method, url);
  const { group, version, namespace, resource, subresource, name } = info.resource!;
  expect(info.verb).toBe(verb);
  expect([group, version, namespace, resource, subresource, name].join('/')).toBe(place);
});

test('paths outside the resource tree are authorized by path and method', () => {
  const user = { name: 'u', groups: [] };
  for (const path of ['/version', '/api', '/apis/apps/v1', '/healthz/ping', '/%zz'])
    expect(accessOf(user, parseRequest('GET', path))).toEqual({ user, verb: 'get', path });
});

test('of what a client accepts, the first that can be given', () => {
  const can = { convertible: true, protobuf: () => true, list: true };
  const table = 'application/json;as=Table;v=v1;g=meta.k8s.io';
  expect(negotiate(`${table},application/json`, can, false)).toMatchObject({
    format: 'json',
    as: 'Table',
    version: 'v1',
  });
  expect(negotiate(`${table},application/json`, { ...can, convertible: false }, false).as).toBeUndefined();
  expect(negotiate('application/vnd.kubernetes.protobuf,application/json', can, false).format).toBe('protobuf');
  const custom = { ...can, protobuf: () => false };
  expect(negotiate('application/vnd.kubernetes.protobuf,*/*', custom, false).format).toBe('json');
  expect(negotiate('application/json;q=0.5, application/yaml', can, false).format).toBe('yaml');
  expect(() => negotiate(table, { ...can, convertible: false }, false)).toThrow(/only the following media types/);
});

test('the field manager is the client’s name', () => {
  expect(managerOf('kubectl/v1.33.0 (linux/amd64)')).toBe('kubectl');
  expect(managerOf(undefined)).toBe('unknown');
  expect(managerOf('x'.repeat(300))).toHaveLength(128);
});

describe('seats', () => {
  test('the next in line gets the seat that is given up', async () => {
    const seats = new Seats(1, systemClock);
    const order: string[] = [];
    await seats.take();
    const second = seats.take().then(() => order.push('second'));
    const third = seats.take().then(() => order.push('third'));
    expect(seats.waiting).toBe(2);
    seats.release();
    await second;
    expect(order).toEqual(['second']);
    seats.release();
    await third;
    seats.release();
    expect([seats.executing, seats.waiting]).toEqual([0, 0]);
  });

  test('whoever waits too long, or finds the line full, is told to come back', async () => {
    const clock = new VirtualClock();
    const seats = new Seats(1, clock, 1, 5000);
    await seats.take();
    const waiting = seats.take();
    const late = expect(waiting).rejects.toMatchObject({ code: 429, status: { details: { retryAfterSeconds: 1 } } });
    await expect(seats.take()).rejects.toMatchObject({ code: 429 });
    await clock.advance(5000);
    await late;
    expect(seats.waiting).toBe(0);
  });
});
