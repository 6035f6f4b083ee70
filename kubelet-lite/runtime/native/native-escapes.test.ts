import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { OciMount, OciSpec } from '../oci.js';
import { coreBinary, withPods } from './test-pods.js';

/** What has let processes out of other runtimes' containers, tried here; each was seen to succeed against a core weakened for it. */
withPods('known ways out', { idle: true }, (pods) => {
  const exec = (id: string, ...command: string[]) =>
    pods.runtime.execSync(id, { command, timeoutMs: 120_000, maxOutput: 20_000 });
  const sh = async (command: string, id = 'idle') => {
    const { stdout, stderr } = await exec(id, 'sh', '-c', command);
    return stdout + stderr;
  };
  const start = (id: string, args: readonly string[], spec?: (s: OciSpec) => OciSpec, change = {}) =>
    pods.runtime.startContainer('pod', pods.container(id, args, change, spec));
  const image = (name: string, change: (layer: string) => void) => {
    const layer = join(pods.dir, name);
    cpSync(pods.layer, layer, { recursive: true, verbatimSymlinks: true });
    change(layer);
    return { layers: [layer] };
  };

  test('the runtime’s program, run inside by its own name in /proc, cannot be written to once it has ended (CVE-2019-5736)', async () => {
    const digest = () => createHash('sha256').update(readFileSync(coreBinary)).digest('hex');
    const before = digest();
    await sh('mkfifo /tmp/held');
    // It waits for the other end of the pipe: time enough to get hold of it.
    const running = exec('idle', '/proc/self/exe', 'plan', '/tmp/held');
    const said = await sh(
      'while :; do for p in /proc/[0-9]*; do [ "$(tr "\\0" " " < $p/cmdline 2>/dev/null)" = "/proc/self/exe plan /tmp/held " ] && break 2; done; done; ' +
        'exec 5< $p/exe && readlink /proc/self/fd/5; head -c 4 /proc/self/fd/5 | tail -c 3; echo; ' +
        '(: >> /proc/self/fd/5) 2>&1; echo "{}" > /tmp/held; while [ -e $p/exe ]; do :; done; ' +
        'echo owned 2>&1 > /proc/self/fd/5; echo owned 2>&1 >> /proc/self/fd/5',
    );
    await running;
    expect(said).toMatch(/^\/memfd:trimtab-core \(deleted\)\nELF\n/);
    expect(said.match(/(not permitted|denied|busy)$/gm)).toHaveLength(3);
    expect(digest()).toBe(before);
  });

  test.each([
    ['the usual capabilities', []],
    ['CAP_SYS_PTRACE', ['CAP_SYS_PTRACE']],
  ])(
    'an exec on its way into a container with %s cannot be looked into before it is one of its own',
    async (_, more) => {
      const id = `watcher-${more.length}`;
      const capabilities = (s: OciSpec) => {
        const sets = s.process.capabilities!;
        const added = (set: readonly string[]) => [...set, ...more];
        const grown = {
          bounding: added(sets.bounding),
          effective: added(sets.effective),
          permitted: added(sets.permitted),
        };
        return { ...sets, ...grown };
      };
      // Whatever runs the runtime's program must have no right that the container has not, and nothing of the node open.
      const look =
        'own=$(grep CapEff /proc/self/status); while :; do for p in /proc/[0-9]*; do case "$(readlink $p/exe)" in *memfd*) ' +
        'ls -l $p/fd | grep -E "/|memfd|epoll|signalfd" | grep -vE "pipe|/dev/null|total"; c=$(grep CapEff $p/status); [ -n "$c" ] && [ "$c" != "$own" ] && echo "$c";; esac; done; done 2>/dev/null';
      await start(id, ['sh', '-c', look], (s) => ({
        ...s,
        process: { ...s.process, capabilities: capabilities(s) },
      }));
      for (let i = 0; i < 40; i++) expect((await exec(id, 'sh', '-c', 'echo in; exit 3')).exitCode).toBe(3);
      expect(pods.log(id)).toBe('');
      await pods.runtime.removeContainer(id);
    },
  );

  test.each([false, true])(
    'nothing but its streams is open in a first process and in an exec, tty %s (CVE-2024-21626)',
    async (tty) => {
      const id = `census-${tty}`;
      const open = 'for f in /proc/self/fd/*; do readlink $f; done';
      await start(id, ['sh', '-c', `${open}; sleep 1000`], undefined, { tty });
      const inside = (text: string) =>
        text
          .replace(/^\S+ \S+ [FP] /gm, '')
          .split(/\r?\n/)
          .filter(Boolean);
      const own = inside(await sh('for f in /proc/1/fd/*; do readlink $f; done', id));
      expect(
        own.filter((name) => !/^(\/dev\/(null|pts\/\d+|console)|pipe:\[\d+\]|\/proc\/\d+\/fd)$/.test(name)),
      ).toEqual([]);
      const run = inside(await sh(open, id));
      expect(run.filter((name) => !/^(\/dev\/null|pipe:\[\d+\]|\/proc\/\d+\/fd|\/proc\/self\/fd)$/.test(name))).toEqual(
        [],
      );
      await pods.runtime.removeContainer(id);
    },
  );

  test('a mount, a mask, a read-only path and a working directory stay inside while a neighbour swaps links under them', async () => {
    const shared = join(pods.dir, 'shared');
    const outside = join(pods.dir, 'outside');
    for (const dir of [shared, outside, join(outside, 'x'), join(outside, 'secret')]) mkdirSync(dir);
    const bind = (source: string, destination: string): OciMount => ({
      destination,
      type: 'bind',
      source,
      options: ['rbind', 'rw'],
    });
    const swap = ['..', '../../../../../../../..', outside, '/proc', '/proc/self', '/proc/1/root', 'sub']
      .map((to) => `ln -s ${to} sub; rm -rf sub; mkdir -p sub/x sub/secret; rm -rf sub`)
      .join('; ');
    await start('racer', ['sh', '-c', `cd /data; while :; do ${swap}; done 2>/dev/null`], (s) => ({
      ...s,
      mounts: [...s.mounts, bind(shared, '/data')],
    }));
    const outcomes = { started: 0, refused: 0 };
    for (let i = 0; i < 80; i++) {
      const id = `victim-${i}`;
      const started = start(id, ['sleep', '1000'], (s) => ({
        ...s,
        process: { ...s.process, cwd: '/data/sub/cwd' },
        mounts: [...s.mounts, bind(shared, '/data'), bind(pods.layer, '/data/sub/x')],
        linux: {
          ...s.linux,
          maskedPaths: [...s.linux.maskedPaths!, '/data/sub/secret'],
          readonlyPaths: [...s.linux.readonlyPaths!, '/data/sub/x'],
        },
      }));
      const up = await started.catch(() => undefined);
      outcomes[up ? 'started' : 'refused']++;
      if (!up) continue;
      const points = readFileSync(`/proc/${up.pid}/mountinfo`, 'utf8')
        .trim()
        .split('\n')
        .map((line) => line.split(' ').slice(4, 6).join(' '));
      const below = points.filter((point) => point.startsWith('/proc/'));
      expect(
        below.filter(
          (point) => !/^\/proc\/(acpi|kcore|keys|timer_list|scsi|bus|fs|irq|sys|sysrq-trigger) /.test(point),
        ),
      ).toEqual([]);
      expect(below.find((point) => point.startsWith('/proc/sys '))).toMatch(/^\/proc\/sys ro/);
      await pods.runtime.removeContainer(id);
    }
    await pods.runtime.removeContainer('racer');
    expect(outcomes.started + outcomes.refused).toBe(80);
    expect(readdirSync(outside).sort()).toEqual(['secret', 'x']);
    for (const dir of ['secret', 'x']) expect(readdirSync(join(outside, dir))).toEqual([]);
  });

  test('a terminal is not bound over what an image links /dev/console to (CVE-2025-52565)', async () => {
    const traps = image('console', (layer) => {
      writeFileSync(join(layer, 'secret'), 'kept');
      symlinkSync('/secret', join(layer, 'dev/console'));
      mkdirSync(join(layer, 'dev/pts'));
    });
    const nodev = (s: OciSpec): OciSpec => ({ ...s, mounts: s.mounts.filter((m) => m.destination !== '/dev') });
    await expect(start('console', ['true'], nodev, { ...traps, tty: true })).rejects.toMatchObject({
      stage: 'terminal',
      errno: 'ELOOP',
    });
  });

  test('kernel settings are written to a procfs of our own, whatever an image shows as /proc (CVE-2019-16884, 2025-52881)', async () => {
    const fake = image('fake', (layer) => {
      mkdirSync(join(layer, 'proc/sys/net/ipv4'), { recursive: true });
      writeFileSync(join(layer, 'proc/sys/net/ipv4/ip_forward'), 'fake');
      mkdirSync(join(layer, 'proc/self/attr'), { recursive: true });
    });
    const sysctl = (spec: OciSpec, value: Record<string, string>) => ({
      ...spec,
      linux: { ...spec.linux, sysctl: value },
    });
    const without = (s: OciSpec) =>
      sysctl({ ...s, mounts: s.mounts.filter((m) => m.destination !== '/proc') }, { 'net.ipv4.ip_forward': '1' });
    await expect(start('fake-1', ['true'], without, fake)).rejects.toMatchObject({
      stage: 'sysctl',
      errno: 'ENOENT',
    });
    await start(
      'fake-2',
      ['cat', '/proc/sys/net/ipv4/ip_forward'],
      (s) => sysctl(s, { 'net.ipv4.ip_forward': '1' }),
      fake,
    );
    await pods.exit('fake-2');
    expect(pods.log('fake-2')).toMatch(/ F 1\n$/);
    expect(readFileSync(join(pods.dir, 'fake/proc/sys/net/ipv4/ip_forward'), 'utf8')).toBe('fake');
  });

  test.each([
    'kernel.core_pattern',
    'net/../kernel/core_pattern',
    'net.//.kernel.core_pattern',
    'net/./../kernel/core_pattern',
    'net//ipv4/ip_forward',
    'fs/mqueue/../../kernel/core_pattern',
    '../../../tmp/x',
    'kernel/shm_rmid_forced/..',
    'vm.overcommit_memory',
  ])('the node’s setting behind the name %s is not reached', async (name) => {
    const before = readFileSync('/proc/sys/kernel/core_pattern', 'utf8');
    const spec = (s: OciSpec): OciSpec => ({ ...s, linux: { ...s.linux, sysctl: { [name]: 'owned' } } });
    try {
      await expect(start('setting', ['true'], spec)).rejects.toMatchObject({
        stage: 'sysctl',
        errno: expect.stringMatching(/EPERM|EINVAL/),
      });
      await expect(
        pods.runtime.runSandbox(pods.sandbox('setting', { sysctls: { [name]: 'owned' } })),
      ).rejects.toMatchObject({ stage: 'sysctl' });
      expect(readFileSync('/proc/sys/kernel/core_pattern', 'utf8')).toBe(before);
    } finally {
      writeFileSync('/proc/sys/kernel/core_pattern', before);
      await pods.runtime.removeSandbox('setting');
    }
  });

  test('a device is made where it was asked for and nowhere else, and of the kind that was asked for', async () => {
    const outside = join(pods.dir, 'devices');
    mkdirSync(outside);
    const traps = image('links', (layer) => symlinkSync(`${'../'.repeat(12)}${outside.slice(1)}`, join(layer, 'way')));
    const device =
      (path: string) =>
      (s: OciSpec): OciSpec => ({
        ...s,
        linux: { ...s.linux, devices: [{ path, type: 'c', major: 1, minor: 3 }] },
      });
    for (const [i, path] of [
      '/way/null',
      '/dev/../way/null',
      `/way/${'../'.repeat(12)}${outside.slice(1)}/null`,
    ].entries())
      await start(`device-${i}`, ['true'], device(path), traps).catch(() => {});
    for (const [i, path] of ['/dev/..', '/dev/.', '/dev/'].entries())
      await expect(start(`bad-device-${i}`, ['true'], device(path))).rejects.toMatchObject({
        stage: 'device',
        errno: 'EINVAL',
      });
    expect(readdirSync(outside)).toEqual([]);
    const swapped = image('swapped', (layer) => {
      rmSync(join(layer, 'dev'), { recursive: true });
      mkdirSync(join(layer, 'dev'));
      writeFileSync(join(layer, 'dev/zero'), 'not zero');
    });
    const nodev = (s: OciSpec): OciSpec => ({
      ...s,
      mounts: s.mounts.filter((m) => !m.destination.startsWith('/dev')),
    });
    await expect(start('swapped', ['true'], nodev, swapped)).rejects.toMatchObject({
      stage: 'device',
      errno: 'EEXIST',
    });
  });

  test('its own groups cannot be changed from inside, nor others be made or entered', async () => {
    const said = await sh(
      'cd /sys/fs/cgroup; for f in memory/memory.limit_in_bytes memory.max pids/pids.max devices/devices.allow memory/cgroup.procs cgroup.procs cgroup.kill; do ' +
        '[ -e $f ] && { echo 1 > $f; } ; done; for d in memory pids unified .; do mkdir $d/own && echo made; done; ' +
        'mount -o remount,rw /sys/fs/cgroup && echo remounted; mount -t cgroup2 x /tmp && echo mounted; mount -t cgroup -o memory x /tmp && echo mounted; ' +
        'ls -d release_agent */release_agent; cat /proc/1/cgroup | grep -v ":/$" | grep -E "memory|pids|devices|::"',
    );
    expect(said).toMatch(/Read-only file system/);
    expect(said).not.toMatch(/made|mounted|^[^l].*release_agent$/m);
    const limit = readFileSync(memoryLimitFile(), 'utf8');
    expect(Number(limit)).toBe(64 << 20);
  });

  /** The idle container's memory limit as the node has it. */
  function memoryLimitFile(): string {
    const group = `${pods.sandbox('pod').cgroupPath}/idle`;
    const found = readFileSync('/proc/self/mounts', 'utf8')
      .split('\n')
      .map((line) => line.split(' ')[1] ?? '')
      .flatMap((mount) => ['memory.limit_in_bytes', 'memory.max'].map((file) => join(mount, group, file)))
      .find((path) => existsSync(path));
    return found!;
  }
});
