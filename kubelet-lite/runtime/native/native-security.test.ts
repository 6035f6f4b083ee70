import { spawn } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import type { OciSpec } from '../oci.js';
import { ordinarySpec, withPods } from './test-pods.js';

withPods('confinement', { idle: true }, (pods) => {
  const sh = (command: string, container = 'idle') =>
    pods.runtime.execSync(container, { command: ['sh', '-c', command], timeoutMs: 120_000, maxOutput: 20_000 });
  const start = (id: string, args: readonly string[], layers?: readonly string[], spec?: (s: OciSpec) => OciSpec) =>
    pods.runtime.startContainer('pod', pods.container(id, args, layers ? { layers } : {}, spec));
  /** What a first process says of itself, in the log's text. */
  const said = async (id: string, command: string, spec?: (s: OciSpec) => OciSpec) => {
    await start(id, ['sh', '-c', command], undefined, spec);
    await pods.exit(id);
    return pods.log(id).replace(/^\S+ \S+ [FP] /gm, '');
  };
  const status = 'grep -E "^(Cap|NoNewPrivs|Seccomp:|Groups|Uid|Gid)" /proc/self/status';

  test('first process and exec have the same few capabilities, a filter and no way to more', async () => {
    const first = await said('caps', status);
    expect(first).toMatch(
      /CapInh:\t0{16}\nCapPrm:\t00000000a80425fb\nCapEff:\t00000000a80425fb\nCapBnd:\t00000000a80425fb\nCapAmb:\t0{16}\n/,
    );
    expect(first).toMatch(/NoNewPrivs:\t1\nSeccomp:\t2\n/);
    expect((await sh(status)).stdout).toBe(first);
    const user = (spec: OciSpec): OciSpec => ({
      ...spec,
      process: {
        ...spec.process,
        user: { uid: 1000, gid: 1001, additionalGids: [2000], umask: 0o27 },
        capabilities: { bounding: ['CAP_CHOWN'], effective: [], permitted: [], inheritable: [], ambient: [] },
      },
    });
    const plain = await said('user', `${status}; umask; id -u`, user);
    expect(plain).toContain('Uid:\t1000\t1000\t1000\t1000\nGid:\t1001\t1001\t1001\t1001\n');
    expect(plain).toMatch(/Groups:\t2000 ?\n/);
    expect(plain).toContain('CapEff:\t0000000000000000\nCapBnd:\t0000000000000001\n');
    expect(plain).toContain('0027\n1000\n');
  });

  test('a filter also holds where privileges may grow', async () => {
    const spec = (s: OciSpec): OciSpec => ({ ...s, process: { ...s.process, noNewPrivileges: false } });
    expect(await said('grow', status, spec)).toMatch(/NoNewPrivs:\t0\nSeccomp:\t2\n/);
    expect(await said('grow-mount', 'mount -t tmpfs x /tmp 2>&1; unshare -n true 2>&1', spec)).toMatch(
      /permission denied[\s\S]*not permitted/i,
    );
  });

  test('kernel files are masked or read-only, and so is what /sys shows', async () => {
    const { stdout } = await sh(
      'cat /proc/kcore | wc -c; ls /sys/firmware | wc -l; cat /proc/timer_list | wc -c; ' +
        'echo 1 > /proc/sys/kernel/panic; echo b > /proc/sysrq-trigger; mkdir /sys/fs/cgroup/x; mount -o remount,rw /proc/sys; ' +
        'umount /proc/kcore; echo end',
    );
    expect(stdout).toBe('0\n0\n0\nend\n');
    expect((await sh('echo 1 > /proc/sys/kernel/panic')).stderr).toContain('Read-only');
    expect((await sh('ls /dev; ls /dev/pts')).stdout.split('\n').filter(Boolean)).toEqual(
      'fd full mqueue null ptmx pts random stderr stdin stdout tty urandom zero ptmx'.split(' '),
    );
  });

  test('a device made inside cannot be opened', async () => {
    const { stdout } = await sh(
      'mknod /tmp/disk b 8 0 && mknod /tmp/kmsg c 1 11 && mknod /tmp/mem c 1 1; cat /tmp/disk /tmp/kmsg /tmp/mem 2>&1 | head -c 300',
    );
    expect(stdout).not.toBe('');
    expect(stdout.match(/not permitted/g)).toHaveLength(3);
  });

  test('only its own interfaces, processes, host name and groups are seen', async () => {
    const { stdout } = await sh('ls /sys/class/net; ps | wc -l; hostname; cat /proc/1/comm');
    const [network, processes, host, first] = stdout.split('\n');
    expect([network, host, first]).toEqual(['lo', 'pod', 'sleep']);
    expect(Number(processes)).toBeLessThan(8);
    expect((await sh('cat /proc/self/cgroup')).stdout).toMatch(/^\d+:[^:]*memory[^:]*:\/$|^0::\/$/m);
  });

  test('no descriptor of the runtime reaches a process (CVE-2024-21626)', async () => {
    const first = (await said('fds', 'ls /proc/self/fd')).trim().split(/\s+/);
    expect(first).toEqual(['0', '1', '2', '3']);
    expect((await sh('ls /proc/self/fd')).stdout.trim().split(/\s+/)).toEqual(['0', '1', '2', '3']);
    for (const cwd of ['/proc/self/fd/7', '/proc/self/fd/9', '/proc/self/cwd'])
      await expect(
        start(`cwd${cwd.replaceAll('/', '-')}`, ['ls'], undefined, (s) => ({ ...s, process: { ...s.process, cwd } })),
      ).rejects.toMatchObject({ stage: expect.stringMatching(/cwd|rootfs/) });
  });

  test('the program that enters containers cannot be overwritten through /proc (CVE-2019-5736)', async () => {
    const { pid } = (await pods.runtime.list()).find((s) => s.id === 'pod')!;
    const core = (await pods.runtime.core.request<{ pid: number }>('core.info')).pid;
    for (const process of [pid, core]) {
      const overwrite = () => writeSync(openSync(`/proc/${process}/exe`, 'r+'), 'x');
      expect(overwrite).toThrow(/ETXTBSY|EPERM/);
    }
    expect(readFileSync(`/proc/${pid}/status`, 'utf8')).toContain('trimtab-pod');
  });

  test('an image full of links changes nothing outside (CVE-2024-45310, 2019-16884, 2019-19921)', async () => {
    const outside = join(pods.dir, 'outside');
    mkdirSync(outside);
    const trap = (name: string, change: (layer: string) => void) => {
      const layer = join(pods.dir, name);
      cpSync(pods.layer, layer, { recursive: true, verbatimSymlinks: true });
      change(layer);
      return [layer];
    };
    const link = (target: string, at: string) => (layer: string) => {
      rmSync(join(layer, at), { recursive: true, force: true });
      symlinkSync(target, join(layer, at));
    };
    await expect(start('trap-proc', ['true'], trap('l1', link('/tmp', 'proc')))).rejects.toMatchObject({
      stage: 'mount',
      errno: 'ELOOP',
    });
    await expect(start('trap-sys', ['true'], trap('l2', link(outside, 'sys')))).rejects.toMatchObject({
      stage: expect.stringMatching(/mount|rootfs/),
    });
    await expect(start('trap-dev', ['true'], trap('l3', link(outside, 'dev')))).rejects.toMatchObject({
      stage: expect.stringMatching(/mount|rootfs/),
    });
    const bind = (destination: string) => (s: OciSpec) => ({
      ...s,
      mounts: [...s.mounts, { destination, type: 'bind', source: pods.layer, options: ['rbind', 'rw'] }],
    });
    const dots = trap('l4', link('../../../../../../../..', 'escape'));
    await expect(start('trap-bind', ['true'], dots, bind(`/escape${outside}/made`))).resolves.toMatchObject({
      state: 'running',
    });
    await expect(start('trap-over', ['true'], dots, bind('/proc/self'))).rejects.toMatchObject({
      stage: expect.stringMatching(/mount|rootfs/),
    });
    await expect(start('trap-over2', ['true'], dots, bind('/proc/sys'))).rejects.toMatchObject({
      stage: 'mount',
      errno: 'EPERM',
    });
    const absolute = trap('l5', link(outside, 'job'));
    await start('trap-cwd', ['true'], absolute, (s) => ({ ...s, process: { ...s.process, cwd: '/job/x' } })).catch(
      () => {},
    );
    expect(readdirSync(outside)).toEqual([]);
  });

  test('masks and /dev/console come from the host, not from what an image calls them (CVE-2025-31133, 2025-52565)', async () => {
    const layer = join(pods.dir, 'l6');
    cpSync(pods.layer, layer, { recursive: true, verbatimSymlinks: true });
    writeFileSync(join(layer, 'secret'), 'kept');
    symlinkSync('/secret', join(layer, 'dev/null'));
    symlinkSync('/secret', join(layer, 'dev/console'));
    const nodev = (s: OciSpec): OciSpec => ({
      ...s,
      mounts: s.mounts.filter((m) => !m.destination.startsWith('/dev')),
      linux: { ...s.linux, maskedPaths: [...s.linux.maskedPaths!, '/secret'] },
    });
    await expect(start('null-link', ['true'], [layer], nodev)).rejects.toMatchObject({
      stage: 'device',
      errno: 'EEXIST',
    });
    await start('masked', ['sh', '-c', 'cat /secret; ls -l /secret'], [layer], (s) => ({
      ...s,
      linux: { ...s.linux, maskedPaths: ['/secret'] },
    }));
    await pods.exit('masked');
    expect(pods.log('masked')).toMatch(/ F crw-rw-rw- .* 1, +3 .*\/secret\n$/);
    expect(readFileSync(join(layer, 'secret'), 'utf8')).toBe('kept');
  });

  test('groups of others are neither used nor killed', async () => {
    const config = pods.sandbox('foreign');
    const roots = readFileSync('/proc/self/mounts', 'utf8')
      .split('\n')
      .map((line) => line.split(' '))
      .filter((words) => words[2]?.startsWith('cgroup') && !words[1]!.includes('cpuset'))
      .map((words) => join(words[1]!, config.cgroupPath, 'theirs'));
    const other = spawn('sleep', ['1000'], { stdio: 'ignore' });
    for (const root of roots) {
      mkdirSync(root, { recursive: true });
      writeFileSync(join(root, 'cgroup.procs'), String(other.pid));
    }
    await expect(pods.runtime.runSandbox(config)).rejects.toMatchObject({ stage: 'cgroup', errno: 'EBUSY' });
    await pods.runtime.removeSandbox('foreign');
    expect(other.exitCode ?? other.signalCode).toBeNull();
    const gone = new Promise((resolve) => other.once('exit', resolve));
    other.kill('SIGKILL');
    await gone;
    for (const cgroupPath of ['', '/', '../x', 'a/./b'])
      await expect(pods.runtime.runSandbox({ ...config, cgroupPath })).rejects.toMatchObject({ errno: 'EINVAL' });
  });

  test('exec is under the very filter of its container, in containers of one pod with different ones', async () => {
    const filter = (names: string[]) => (spec: OciSpec) => ({
      ...spec,
      linux: {
        ...spec.linux,
        seccomp: { defaultAction: 'SCMP_ACT_ALLOW', syscalls: [{ names, action: 'SCMP_ACT_ERRNO', errnoRet: 95 }] },
      },
    });
    await start('no-mkdir', ['sleep', '1000'], undefined, filter(['mkdir', 'mkdirat']));
    await start('no-link', ['sleep', '1000'], undefined, filter(['symlink', 'symlinkat']));
    const tried = 'mkdir /made 2>&1; ln -s a /linked 2>&1; mount -t tmpfs x /tmp 2>&1; true';
    expect((await sh(tried, 'no-mkdir')).stdout).toMatch(
      /^mkdir: .*Operation not supported\nmount: .*(denied|permitted)/,
    );
    expect((await sh(tried, 'no-link')).stdout).toMatch(/^ln: .*Operation not supported\nmount: /);
    expect((await sh(tried)).stdout).toMatch(/^mount: /);
    for (const id of ['no-mkdir', 'no-link']) await pods.runtime.removeContainer(id);
  });

  test('first process and exec are in the groups of the container in every hierarchy', async () => {
    const { pid } = await start('grouped', ['sleep', '1000']);
    const counted = (line: string) =>
      /:(|name=systemd|.*\b(cpu|cpuset|memory|pids|devices|freezer|blkio)\b.*):/.test(line);
    const groups = readFileSync(`/proc/${pid}/cgroup`, 'utf8').trim().split('\n').filter(counted);
    expect(groups.filter((line) => !line.endsWith('/pod/grouped'))).toEqual([]);
    // Seen from the container's own cgroup namespace anything else is a path that leads out of it.
    const own = (await sh('cat /proc/self/cgroup', 'grouped')).stdout.trim().split('\n').filter(counted);
    expect(own).toHaveLength(groups.length);
    expect(own.filter((line) => !line.endsWith(':/'))).toEqual([]);
    await pods.runtime.removeContainer('grouped');
  });

  test('a start that is refused leaves the container alone whose group it names', async () => {
    const clash = pods.container('clash', ['true'], {}, (spec) => ({
      ...spec,
      linux: { ...spec.linux, cgroupsPath: 'x/idle', uidMappings: [{ containerID: 0, hostID: 1, size: 1 }] },
    }));
    await expect(pods.runtime.startContainer('pod', clash)).rejects.toMatchObject({ errno: 'EOPNOTSUPP' });
    const busy = pods.container('busy', ['true'], {}, (spec) => ({
      ...spec,
      linux: { ...spec.linux, cgroupsPath: 'x/idle' },
    }));
    await expect(pods.runtime.startContainer('pod', busy)).rejects.toMatchObject({ stage: 'cgroup', errno: 'EBUSY' });
    expect((await sh('echo alive')).stdout).toBe('alive\n');
  });

  test('a read-only root is one; what is not supported is refused by name', async () => {
    const text = await said('ro', 'touch /x 2>&1; touch /dev/x && echo fine', (s) => ({
      ...s,
      root: { readonly: true },
    }));
    expect(text).toContain('Read-only file system');
    expect(text).toContain('fine');
    const spec = ordinarySpec(['true'], 'x');
    const refuse = (linux: object) =>
      start('refused', ['true'], undefined, () => ({ ...spec, linux: { ...spec.linux, ...linux } }));
    await expect(refuse({ uidMappings: [{ containerID: 0, hostID: 1, size: 1 }] })).rejects.toMatchObject({
      errno: 'EOPNOTSUPP',
      object: 'linux.uidMappings',
    });
    await expect(refuse({ sysctl: { 'kernel.core_pattern': '|/x' } })).rejects.toMatchObject({
      stage: 'sysctl',
      errno: 'EPERM',
    });
    expect(existsSync(join(pods.dir, 'containers/refused'))).toBe(false);
  });
});
