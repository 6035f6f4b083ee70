import { execFileSync } from 'node:child_process';
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { silentLogger, systemClock } from '@trimtab/machinery';
import type { OciSpec } from '../oci.js';
import type { ContainerConfig, ContainerStatus, SandboxConfig } from '../runtime.js';
import { type NativeRuntime, nativeRuntime } from './native-runtime.js';

/** A pod runtime with an image of busybox in a directory of its own, for tests that start real processes as root. */
export interface TestPods {
  readonly runtime: NativeRuntime;
  readonly dir: string;
  readonly layer: string;
  sandbox(id: string, change?: Partial<SandboxConfig>): SandboxConfig;
  container(id: string, args: readonly string[], change?: Partial<ContainerConfig>, spec?: SpecChange): ContainerConfig;
  exit(containerId: string): Promise<ContainerStatus>;
  log(containerId: string): string;
  connect(): Promise<NativeRuntime>;
  close(): Promise<void>;
}

type SpecChange = (spec: OciSpec) => OciSpec;

export const coreBinary = resolve(process.env.TRIMTAB_TEST_CORE ?? 'kubelet-lite/isolation/build/trimtab-core');

/** Why real pods cannot be started here, or undefined. */
export function whyNoPods(): string | undefined {
  if (process.getuid?.() !== 0) return 'not root';
  if (!busybox()) return 'busybox-static is not installed';
  return undefined;
}

function busybox(): string | undefined {
  return ['/bin/busybox', '/usr/bin/busybox'].find((path) => {
    try {
      return readFileSync(path).subarray(0, 4).toString('latin1') === '\x7fELF';
    } catch {
      return false;
    }
  });
}

const CAPABILITIES = [
  'CAP_CHOWN',
  'CAP_DAC_OVERRIDE',
  'CAP_FSETID',
  'CAP_FOWNER',
  'CAP_MKNOD',
  'CAP_NET_RAW',
  'CAP_SETGID',
  'CAP_SETUID',
  'CAP_SETFCAP',
  'CAP_SETPCAP',
  'CAP_NET_BIND_SERVICE',
  'CAP_SYS_CHROOT',
  'CAP_KILL',
  'CAP_AUDIT_WRITE',
];

/** What the kubelet would ask for an ordinary container. */
export function ordinarySpec(args: readonly string[], cgroupsPath: string): OciSpec {
  return {
    ociVersion: '1.2.0',
    process: {
      user: { uid: 0, gid: 0 },
      args,
      env: ['PATH=/bin', 'HOME=/'],
      cwd: '/',
      capabilities: {
        bounding: CAPABILITIES,
        effective: CAPABILITIES,
        permitted: CAPABILITIES,
        inheritable: [],
        ambient: [],
      },
      noNewPrivileges: true,
      oomScoreAdj: 1000,
    },
    root: { readonly: false },
    mounts: [
      { destination: '/proc', type: 'proc', source: 'proc', options: ['nosuid', 'noexec', 'nodev'] },
      {
        destination: '/dev',
        type: 'tmpfs',
        source: 'tmpfs',
        options: ['nosuid', 'strictatime', 'mode=755', 'size=65536k'],
      },
      {
        destination: '/dev/pts',
        type: 'devpts',
        source: 'devpts',
        options: ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620', 'gid=5'],
      },
      { destination: '/dev/mqueue', type: 'mqueue', source: 'mqueue', options: ['nosuid', 'noexec', 'nodev'] },
      { destination: '/sys', type: 'sysfs', source: 'sysfs', options: ['nosuid', 'noexec', 'nodev', 'ro'] },
      {
        destination: '/sys/fs/cgroup',
        type: 'cgroup',
        source: 'cgroup',
        options: ['nosuid', 'noexec', 'nodev', 'relatime', 'ro'],
      },
    ],
    linux: {
      namespaces: ['pid', 'network', 'mount', 'ipc', 'uts', 'cgroup'].map((type) => ({
        type,
      })) as OciSpec['linux']['namespaces'],
      cgroupsPath,
      resources: {
        cpu: { shares: 102, quota: 100_000, period: 100_000 },
        memory: { limit: 64 << 20, swap: 64 << 20 },
        pids: { limit: 100 },
      },
      seccomp: { profile: 'runtime/default' },
      maskedPaths: ['/proc/acpi', '/proc/kcore', '/proc/keys', '/proc/timer_list', '/proc/scsi', '/sys/firmware'],
      readonlyPaths: ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger'],
    },
  };
}

function makeLayer(dir: string): string {
  const layer = join(dir, 'layer');
  for (const name of ['bin', 'etc', 'tmp', 'proc', 'sys', 'dev']) mkdirSync(join(layer, name), { recursive: true });
  copyFileSync(busybox()!, join(layer, 'bin/busybox'));
  for (const name of execFileSync(busybox()!, ['--list'], { encoding: 'utf8' }).split('\n').filter(Boolean))
    if (name !== 'busybox') symlinkSync('busybox', join(layer, 'bin', name));
  writeFileSync(join(layer, 'etc/passwd'), 'root:x:0:0::/:/bin/sh\n');
  return layer;
}

interface Wanted {
  readonly idle?: boolean;
  readonly core?: string;
  /** Of the Makefile. */
  readonly target?: string;
}

/**
 * A suite that has pods of its own, there before its tests and gone after them; skipped, with the reason in its name, where
 * real pods cannot be started. `idle`: a pod `pod` with a container `idle` that does nothing lives already.
 */
export function withPods(
  title: string,
  { idle = false, core = coreBinary, target = 'all' }: Wanted,
  tests: (pods: TestPods) => void,
): void {
  const reason = whyNoPods();
  (reason ? describe.skip : describe)(reason ? `${title} (skipped: ${reason})` : title, () => {
    const pods = {} as TestPods;
    beforeAll(async () => {
      Object.assign(pods, await testPods(core, target));
      if (!idle) return;
      await pods.runtime.runSandbox(pods.sandbox('pod'));
      await pods.runtime.startContainer('pod', pods.container('idle', ['sleep', '1000']));
    });
    afterAll(async () => {
      await pods.close?.();
    });
    tests(pods);
  });
}

export async function testPods(core = coreBinary, target = 'all'): Promise<TestPods> {
  execFileSync('make', ['--silent', '--no-print-directory', '-C', 'kubelet-lite/isolation', target], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const dir = mkdtempSync(join(tmpdir(), 'tt-pods-'));
  const runDir = join(dir, 'run');
  const connect = () => nativeRuntime({ coreBinary: core, runDir, logger: silentLogger, clock: systemClock });
  const runtime = await connect();
  const layer = makeLayer(dir);
  const group = `tt-test-${process.pid}-${dir.slice(-6)}`;
  const exits = new Map<string, ContainerStatus>();
  const waiting = new Map<string, (status: ContainerStatus) => void>();
  runtime.events.subscribe((event) => {
    if (event.type !== 'containerExited') return;
    exits.set(event.container.id, event.container);
    waiting.get(event.container.id)?.(event.container);
  });
  return {
    runtime,
    dir,
    layer,
    connect,
    sandbox: (id, change = {}) => ({
      id,
      namespace: 'default',
      name: id,
      hostname: id,
      hostNetwork: false,
      hostPid: false,
      hostIpc: false,
      sharePid: false,
      sysctls: {},
      cgroupPath: `${group}/${id}`,
      resources: {},
      directory: join(dir, 'pods', id),
      annotations: { uid: id },
      ...change,
    }),
    container: (id, args, change = {}, spec = (same) => same) => ({
      id,
      name: id,
      spec: spec(ordinarySpec(args, `${group}/pod/${id}`)),
      layers: [layer],
      directory: join(dir, 'containers', id),
      logPath: join(dir, `${id}.log`),
      stdin: false,
      stdinOnce: false,
      tty: false,
      annotations: {},
      ...change,
    }),
    exit: (id) =>
      new Promise((done) => {
        const known = exits.get(id);
        if (known) done(known);
        else waiting.set(id, done);
      }),
    log: (id) => readFileSync(join(dir, `${id}.log`), 'utf8'),
    async close() {
      for (const sandbox of await runtime.list()) await runtime.removeSandbox(sandbox.id);
      await runtime.core.request('core.exit');
      runtime.close();
      removeGroups(group);
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

function removeGroups(group: string): void {
  const roots = readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .map((line) => line.split(' '))
    .filter((words) => words[2] === 'cgroup' || words[2] === 'cgroup2')
    .map((words) => words[1]!);
  const remove = (dir: string) => {
    for (const entry of readdirSync(dir, { withFileTypes: true }))
      if (entry.isDirectory()) remove(join(dir, entry.name));
    rmdirSync(dir);
  };
  for (const root of roots) {
    try {
      remove(join(root, group));
    } catch {
      // Not in this hierarchy.
    }
  }
}
