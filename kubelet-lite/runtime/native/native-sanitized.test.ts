import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { OciSpec } from '../oci.js';
import { withPods } from './test-pods.js';

const core = resolve('kubelet-lite/isolation/build/sanitized/trimtab-core');
const ids = [{ containerID: 0, hostID: 1_310_720, size: 65_536 }];

/** All of these tests run with it too: `TRIMTAB_TEST_CORE=kubelet-lite/isolation/build/sanitized/trimtab-core`. */
withPods('under the address and undefined-behaviour sanitizers', { core, target: 'sanitize' }, (pods) => {
  test.each([
    ['of the node’s user', {}],
    [
      'with a user namespace and shared processes',
      { userNamespace: { uidMappings: ids, gidMappings: ids }, sharePid: true },
    ],
  ])('a pod %s lives from its start to its end without a fault', async (name, change) => {
    const id = name.length.toString();
    await pods.runtime.runSandbox(
      pods.sandbox(id, { sysctls: { 'net.ipv4.ip_unprivileged_port_start': '80' }, ...change }),
    );
    const spec = (s: OciSpec): OciSpec => ({
      ...s,
      mounts: [...s.mounts, { destination: '/tmp', type: 'tmpfs', source: 'tmp', options: ['tmpcopyup'] }],
    });
    const command = ['sh', '-c', 'seq 1 2000; seq 1 2000 >&2; cat; exit 3'];
    const started = { ...pods.container(`main-${id}`, command, { stdin: true }, spec) };
    await pods.runtime.startContainer(id, started);
    const result = await pods.runtime.execSync(`main-${id}`, {
      command: ['sh', '-c', 'seq 1 5000; exit 4'],
      timeoutMs: 120_000,
      maxOutput: 1_000_000,
    });
    expect([result.exitCode, result.stdout.length]).toEqual([4, 23_893]);
    const attached = await pods.runtime.attach(`main-${id}`);
    attached.stdin!.end('said\n');
    attached.stdout?.resume();
    attached.stderr?.resume();
    await expect(pods.runtime.startContainer(id, pods.container(`wrong-${id}`, ['/no/such']))).rejects.toMatchObject({
      stage: 'exec',
      errno: 'ENOENT',
    });
    await pods.runtime.updateContainer(`main-${id}`, { memory: { limit: 128 << 20, swap: 128 << 20 } }).catch(() => {});
    await pods.runtime.stats(id);
    await pods.runtime.signal(`main-${id}`, 'TERM');
    await pods.runtime.signal(`main-${id}`, 'KILL');
    await pods.exit(`main-${id}`);
    expect(pods.log(`main-${id}`).split('\n').length).toBeGreaterThanOrEqual(4000);
    await pods.runtime.removeContainer(`main-${id}`);
    await pods.runtime.removeSandbox(id);
    const log = join(pods.dir, 'run/core.log');
    expect(existsSync(log) ? readFileSync(log, 'utf8') : '').not.toMatch(/Sanitizer|runtime error/);
  });
});
