import { condition, NodeUnderTest } from '../testing/node-under-test.js';

describe('the life of a pod', () => {
  test('pending, running, ready, and gone after its grace', async () => {
    const node = await NodeUnderTest.start();
    const pod = await node.run({ name: 'web', containers: [{ name: 'main', image: 'web:1' }] });
    expect(pod.status).toMatchObject({
      phase: 'Running',
      podIP: '100.64.0.1',
      hostIP: '192.168.0.1',
      qosClass: 'BestEffort',
      containerStatuses: [{ name: 'main', ready: true, started: true, restartCount: 0, image: 'web:1' }],
    });
    expect(condition(pod.status!, 'Ready')).toBe('True');
    expect(await node.events('web')).toEqual([
      'Pulled: Container image "web:1" already present on machine',
      'Created: Created container: main',
      'Started: Started container main',
    ]);

    node.client.log.length = 0;
    await node.delete('web');
    await node.clock.advance(50);
    expect(await node.exists('web')).toBe(false);
    expect(node.client.log.at(-1)).toBe('delete pods grace=0');
    expect(await node.runtime.list()).toEqual([]);
  });

  test('one patch brings a pod whose image is there from nothing to Running and Ready', async () => {
    const node = await NodeUnderTest.start();
    node.client.log.length = 0;
    await node.run({ name: 'web', containers: [{ name: 'main', image: 'web:1' }] });
    expect(node.client.log.filter((line) => line.startsWith('patch pods/status'))).toHaveLength(1);
  });
});
