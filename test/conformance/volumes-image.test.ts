import * as fs from 'node:fs/promises';
import { join } from 'node:path';
import { type Container, Pods } from '@trimtab/machinery';
import { describeReal, useRealCluster } from './real-cluster.js';

describeReal('[sig-node] ImageVolume', () => {
  const c = useRealCluster();
  const REFERENCE = 'registry.example/artifact:1';

  /** An image of two layers; the upper one hides a file of the lower one. */
  async function artifact(): Promise<void> {
    const [upper, lower] = ['upper', 'lower'].map((name) => join(c.directory, 'scratch', c.ns, name)) as [
      string,
      string,
    ];
    await fs.mkdir(join(upper, 'dir'), { recursive: true });
    await fs.mkdir(join(lower, 'dir'), { recursive: true });
    await fs.writeFile(join(upper, 'file'), '2');
    await fs.writeFile(join(lower, 'file'), '1');
    await fs.writeFile(join(lower, 'dir/file'), '1');
    await fs.writeFile(join(lower, 'program'), '#!/bin/sh\necho ran', { mode: 0o755 });
    c.images.set(REFERENCE, [upper, lower]);
  }
  const volume = (name: string, pullPolicy?: string, reference = REFERENCE) => ({
    name,
    image: { reference, ...(pullPolicy ? { pullPolicy } : {}) },
  });
  const mounting = (name: string, more = {}): Partial<Container> => ({
    volumeMounts: [{ name, mountPath: `/${name}`, ...more }],
  });

  test('should succeed with pod and pull policy of Always', async () => {
    await artifact();
    await c.pod('p', 'cat /v/dir/file /v/file', mounting('v'), { volumes: [volume('v', 'Always')] });
    expect(await c.output('p')).toBe('12');
    await c.event('p', 'Pulled', /registry.example\/artifact:1/);
  });

  test('should succeed with pod and multiple volumes', async () => {
    await artifact();
    const volumeMounts = ['a', 'b'].map((name) => ({ name, mountPath: `/${name}` }));
    const volumes = [volume('a'), volume('b', 'IfNotPresent', 'busybox:1')];
    await c.pod(
      'p',
      'cat /a/file; /b/bin/busybox true 2>/dev/null || stat -c %A /b/bin/busybox',
      { volumeMounts },
      { volumes },
    );
    expect(await c.output('p')).toMatch(/^2-rwxr-xr-x\n$/);
  });

  test('should fail if image volume is not existing, and say so', async () => {
    await c.pod('p', 'true', mounting('v'), { volumes: [volume('v', 'Always', 'registry.example/missing:1')] });
    await c.event('p', 'Failed', /Failed to pull image "registry.example\/missing:1": manifest unknown/);
    expect((await c.event('p', 'FailedMount')).message).toBe(
      'MountVolume.SetUp failed for volume "v" : manifest unknown',
    );
  });

  test('should succeed if image volume is not existing but unused by a mount of another name, as of sub paths', async () => {
    await artifact();
    await c.pod('p', 'cat /v/file', mounting('v', { subPath: 'dir' }), { volumes: [volume('v')] });
    expect(await c.output('p')).toBe('1');
    await c.pod('q', 'true', mounting('v', { subPath: 'no/such' }), { volumes: [volume('v')] });
    expect((await c.event('q', 'Failed')).message).toContain('"no" does not exist in the volume');
  });

  test('an image of several layers is seen by a pod with a user namespace as its own', async () => {
    const scratch = join(c.directory, 'scratch', c.ns);
    for (const layer of ['upper', 'lower']) await fs.mkdir(join(scratch, layer), { recursive: true });
    await fs.writeFile(join(scratch, 'upper/secret'), 'of the upper', { mode: 0o600 });
    await fs.writeFile(join(scratch, 'lower/owned'), 'of the lower', { mode: 0o600 });
    await fs.chown(join(scratch, 'lower/owned'), 1000, 1001);
    c.images.set('registry.example/layers:1', [join(scratch, 'upper'), join(scratch, 'lower')]);
    const image = { name: 'v', image: { reference: 'registry.example/layers:1' } };
    const script =
      'cat /v/secret; echo; stat -c "%n %u:%g" /v /v/secret /v/owned; cat /v/owned; cat /s; (echo x > /v/new) 2>&1 || true';
    const volumeMounts = [
      { name: 'v', mountPath: '/v' },
      { name: 'v', mountPath: '/s', subPath: 'secret' },
    ];
    await c.pod('p', script, { volumeMounts }, { hostUsers: false, volumes: [image] });
    expect(await c.output('p')).toMatch(
      /^of the upper\n\/v 0:0\n\/v\/secret 0:0\n\/v\/owned 1000:1001\nof the lowerof the upper.*Read-only file system\n$/,
    );
  });

  test('nothing in it can be changed or run, and the mount goes with the pod', async () => {
    await artifact();
    const script = '(echo x > /v/new) 2>&1; (/v/program) 2>&1; sleep 1000';
    await c.pod('p', script, mounting('v'), { volumes: [volume('v')] });
    const pod = await c.running('p');
    const mounts = async () =>
      (await fs.readFile('/proc/self/mountinfo', 'utf8')).includes(`${pod.metadata.uid}/volumes/v`);
    expect(await mounts()).toBe(true);
    await c.said('p', 'Permission denied\n');
    expect(await c.logs('p')).toMatch(/Read-only file system\n.*Permission denied\n/);
    await c.gone(Pods, 'p');
    expect(await mounts()).toBe(false);
  });
});
