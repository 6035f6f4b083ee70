import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, readFileSync, readlinkSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { OciMount, OciSpec } from '../oci.js';
import { coreBinary, ordinarySpec, withPods } from './test-pods.js';

const IDS = 1_310_720;
const map = [{ containerID: 0, hostID: IDS, size: 65_536 }];
const userNamespace = { uidMappings: map, gidMappings: map };

withPods('namespaces', {}, (pods) => {
  beforeAll(async () => {
    // The image's directory is nobody's but root's: the pod's root must not need to get there by name.
    chmodSync(pods.dir, 0o700);
  });
  const sh = async (id: string, command: string) => {
    const result = await pods.runtime.execSync(id, {
      command: ['sh', '-c', command],
      timeoutMs: 120_000,
      maxOutput: 20_000,
    });
    return result.stdout + result.stderr;
  };
  const withMounts =
    (...mounts: OciMount[]) =>
    (spec: OciSpec): OciSpec => ({ ...spec, mounts: [...spec.mounts, ...mounts] });
  const namespace = (pid: number, kind: string) => readlinkSync(`/proc/${pid}/ns/${kind}`);

  test('root of a pod with a user namespace is nobody on the node, and its image is its own', async () => {
    const volume = join(pods.dir, 'volume');
    mkdirSync(volume);
    writeFileSync(join(volume, 'seed'), 'x', { mode: 0o600 });
    await pods.runtime.runSandbox(
      pods.sandbox('users', {
        userNamespace,
        sysctls: { 'kernel.shm_rmid_forced': '1', 'net.ipv4.ip_unprivileged_port_start': '80' },
      }),
    );
    const bind = (destination: string, ...options: string[]): OciMount => ({
      destination,
      type: 'bind',
      source: volume,
      options: ['rbind', 'rw', ...options],
    });
    const { pid } = await pods.runtime.startContainer(
      'users',
      pods.container(
        'mapped',
        ['sleep', '1000'],
        {},
        withMounts(bind('/mapped', 'idmap'), bind('/plain'), {
          ...bind('/shifted'),
          uidMappings: [{ containerID: 0, hostID: IDS + 500, size: 10 }],
          gidMappings: [{ containerID: 0, hostID: IDS + 600, size: 10 }],
        }),
      ),
    );
    expect(readFileSync(`/proc/${pid}/status`, 'utf8')).toMatch(new RegExp(`Uid:\t${IDS}\t${IDS}\t${IDS}\t${IDS}\n`));
    expect(readFileSync(`/proc/${pid}/uid_map`, 'utf8').trim().split(/\s+/)).toEqual(['0', String(IDS), '65536']);
    expect(
      await sh('mapped', 'id -u; stat -c %u:%g /bin /bin/sh /dev /dev/null /dev/pts; cat /proc/self/uid_map'),
    ).toMatch(new RegExp(`^0\n(0:0\n){5} +0 +${IDS} +65536\n$`));
    expect(await sh('mapped', 'stat -c %u:%g /mapped/seed /plain/seed /shifted/seed')).toBe(
      '0:0\n65534:65534\n500:600\n',
    );
    expect(await sh('mapped', 'cat /mapped/seed; echo more > /mapped/made; echo > /plain/made2')).toMatch(
      /^x.*can't create \/plain\/made2: Permission denied\n$/,
    );
    expect(statSync(join(volume, 'made')).uid).toBe(0);
    await sh('mapped', 'echo > /written; chown 7:8 /written; chmod u+s /written');
    const written = statSync(join(pods.dir, 'containers/mapped/upper/written'));
    expect([written.uid, written.gid]).toEqual([IDS + 7, IDS + 8]);
    // Capabilities hold inside only: devices cannot be made, the node's clock and modules are out of reach.
    expect(
      await sh('mapped', 'mknod /tmp/d c 1 3; date -s 2001-01-01 2>&1; echo kept > /dev/null && echo fine'),
    ).toMatch(/mknod: .*not permitted[\s\S]*|fine/);
    expect(await sh('mapped', 'mknod /tmp/d c 1 3')).toContain('Operation not permitted');
    expect(
      await sh('mapped', 'cat /proc/sys/kernel/shm_rmid_forced /proc/sys/net/ipv4/ip_unprivileged_port_start'),
    ).toBe('1\n80\n');
    expect(await sh('mapped', 'ls /sys/class/net; cat /sys/fs/cgroup/memory/cgroup.procs >/dev/null && hostname')).toBe(
      'lo\nusers\n',
    );
  });

  test('what such a pod is made of belongs to its user namespace', async () => {
    const privileged = (spec: OciSpec): OciSpec => ({
      ...spec,
      process: {
        ...spec.process,
        capabilities: Object.fromEntries(
          ['bounding', 'effective', 'permitted', 'inheritable', 'ambient'].map((set) => [
            set,
            set === 'inheritable' || set === 'ambient' ? [] : ['CAP_SYS_ADMIN', 'CAP_NET_ADMIN', 'CAP_SYS_CHROOT'],
          ]),
        ) as unknown as NonNullable<OciSpec['process']['capabilities']>,
      },
      linux: { ...spec.linux, seccomp: undefined as never },
    });
    await pods.runtime.startContainer('users', pods.container('admin', ['sleep', '1000'], {}, privileged));
    const said = await sh(
      'admin',
      'hostname changed && hostname; ip link add v0 type veth peer name v1 && ip -o link | wc -l; ' +
        'mount -t tmpfs x /tmp && touch /tmp/ok && ls /tmp; mount -t proc p /proc && echo proc; ' +
        'mknod /tmp/x b 8 0',
    );
    expect(said).toMatch(/^changed\n3\nok\nproc\n/);
    expect(said).toMatch(/mknod: .*not permitted/);
    await pods.runtime.removeContainer('admin');
  });

  test('containers of a pod with shared processes share them inside its user namespace', async () => {
    await pods.runtime.runSandbox(pods.sandbox('shared', { userNamespace, sharePid: true }));
    for (const id of ['one', 'two']) {
      const { pid } = await pods.runtime.startContainer('shared', {
        ...pods.container(id, ['sleep', '1000']),
        id,
      });
      expect(namespace(pid, 'user')).not.toBe(readlinkSync('/proc/self/ns/user'));
    }
    expect(
      await sh('one', 'ps -o pid,user,comm | grep -E "sleep|pause" | wc -l; cat /proc/1/comm; kill -9 1; echo $?'),
    ).toMatch(/^3\npause\n/);
    expect(await sh('two', 'cat /proc/1/comm')).toBe('pause\n');
    await pods.runtime.removeSandbox('shared');
  });

  test('a user namespace beside a namespace of the node, or of ids that overlap, is refused', async () => {
    await expect(
      pods.runtime.runSandbox(pods.sandbox('refused', { userNamespace, hostNetwork: true })),
    ).rejects.toMatchObject({ stage: 'namespace', errno: 'EOPNOTSUPP' });
    await expect(
      pods.runtime.runSandbox(
        pods.sandbox('overlapping', { userNamespace: { uidMappings: [...map, ...map], gidMappings: map } }),
      ),
    ).rejects.toMatchObject({ stage: 'config', errno: 'EINVAL', object: expect.stringContaining('overlaps') });
    for (const id of ['refused', 'overlapping']) await pods.runtime.removeSandbox(id);
  });

  test('a failure before and after the change of user reaches the caller, and leaves nothing', async () => {
    const bind = (source: string): OciMount => ({ destination: '/x', type: 'bind', source, options: ['bind'] });
    await expect(
      pods.runtime.startContainer('users', pods.container('early', ['true'], {}, withMounts(bind('/no/such')))),
    ).rejects.toMatchObject({ stage: 'mount', errno: 'ENOENT', object: 'source /no/such' });
    await expect(pods.runtime.startContainer('users', pods.container('late', ['/no/such']))).rejects.toMatchObject({
      stage: 'exec',
      errno: 'ENOENT',
    });
    expect((await pods.runtime.list()).find(({ id }) => id === 'users')?.containers.map(({ id }) => id)).toEqual([
      'mapped',
    ]);
  });

  test('clocks of a new time namespace are offset, for exec too', async () => {
    await pods.runtime.runSandbox(pods.sandbox('clocks'));
    const spec = (s: OciSpec): OciSpec => ({
      ...s,
      linux: {
        ...s.linux,
        namespaces: [...s.linux.namespaces, { type: 'time' }],
        timeOffsets: { boottime: { secs: 1_000_000 }, monotonic: { secs: 10, nanosecs: 5 } },
      },
    });
    await pods.runtime.startContainer('clocks', pods.container('later', ['sleep', '1000'], {}, spec));
    const host = Number(readFileSync('/proc/uptime', 'utf8').split(' ')[0]);
    const inside = Number((await sh('later', 'cat /proc/uptime')).split(' ')[0]);
    expect(Math.abs(inside - host - 1_000_000)).toBeLessThan(600);
    await pods.runtime.removeSandbox('clocks');
  });

  test('the command line makes user namespaces and joins all kinds of namespaces by path', () => {
    const run = (id: string, change: (spec: OciSpec) => OciSpec, ...args: string[]) => {
      const bundle = join(pods.dir, id);
      mkdirSync(bundle);
      execFileSync('cp', ['-a', pods.layer, join(bundle, 'rootfs')]);
      const plain = ordinarySpec(args, `${pods.sandbox('cli').cgroupPath}/${id}`);
      const spec = change({ ...plain, root: { path: 'rootfs' } });
      writeFileSync(join(bundle, 'config.json'), JSON.stringify(spec));
      if (JSON.stringify(spec).includes('"user"'))
        execFileSync('chown', ['-hR', `${IDS}:${IDS}`, join(bundle, 'rootfs')]);
      return bundle;
    };
    const core = (...args: string[]) =>
      spawnSync(coreBinary, ['--root', join(pods.dir, 'cli'), ...args], {
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'pipe'],
        timeout: 120_000,
      });
    const resources = (spec: OciSpec) => ({ ...spec.linux, resources: {} });
    const holder = run(
      'holder',
      (spec) => ({
        ...spec,
        linux: {
          ...resources(spec),
          namespaces: [...spec.linux.namespaces, { type: 'user' }, { type: 'time' }],
          uidMappings: map,
          gidMappings: map,
        },
      }),
      'sleep',
      '1000',
    );
    const pidFile = join(pods.dir, 'holder.pid');
    // A container that lives on must not hold the pipes that its start is read from.
    spawnSync(coreBinary, ['--root', join(pods.dir, 'cli'), 'create', '-b', holder, '--pid-file', pidFile, 'holder'], {
      stdio: 'ignore',
      timeout: 120_000,
    });
    expect(core('start', 'holder')).toMatchObject({ status: 0, stderr: '' });
    try {
      const pid = Number(readFileSync(pidFile, 'utf8'));
      const kinds = {
        network: 'net',
        ipc: 'ipc',
        uts: 'uts',
        pid: 'pid',
        cgroup: 'cgroup',
        user: 'user',
        time: 'time',
      };
      const joins =
        (types: (keyof typeof kinds)[]) =>
        (spec: OciSpec): OciSpec => ({
          ...spec,
          linux: {
            ...resources(spec),
            namespaces: [
              ...spec.linux.namespaces.filter(({ type }) => !types.includes(type as never)),
              ...types.map((type) => ({ type, path: `/proc/${pid}/ns/${kinds[type]}` })),
            ],
          },
        });
      for (const types of [
        ...Object.keys(kinds).map((kind) => [kind]),
        Object.keys(kinds),
      ] as (keyof typeof kinds)[][]) {
        const id = `join-${types.join('-')}`;
        const links = types.map((type) => `/proc/self/ns/${kinds[type]}`);
        const bundle = run(id, joins(types), 'sh', '-c', links.map((link) => `readlink ${link}`).join('; '));
        const { stdout, stderr } = core('run', '-b', bundle, id);
        expect({ id, stderr, said: stdout.trim().split('\n') }).toEqual({
          id,
          stderr: '',
          said: types.map((type) => namespace(pid, kinds[type])),
        });
      }
    } finally {
      expect(core('delete', '--force', 'holder').status).toBe(0);
    }
  });
});
