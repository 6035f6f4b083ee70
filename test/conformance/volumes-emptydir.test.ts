import { describeReal, useRealCluster } from './real-cluster.js';

/** [sig-storage] EmptyDir volumes. */
describeReal('EmptyDir volumes', () => {
  const c = useRealCluster();

  test('volume on tmpfs should have the correct mode', async () => {
    await c.pod(
      'p',
      'stat -c %a /v; stat -f -c %T /v',
      { volumeMounts: [{ name: 'v', mountPath: '/v' }] },
      { volumes: [{ name: 'v', emptyDir: { medium: 'Memory' } }] },
    );
    expect(await c.output('p')).toBe('777\ntmpfs\n');
  });
});
