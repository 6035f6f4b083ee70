import { copyFileSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** A bundle as a kubelet would ask for it: what an ordinary, unprivileged-by-default container of a pod gets. */

const CAPABILITIES =
  'CHOWN DAC_OVERRIDE FSETID FOWNER MKNOD NET_RAW SETGID SETUID SETFCAP SETPCAP NET_BIND_SERVICE SYS_CHROOT KILL AUDIT_WRITE'
    .split(' ')
    .map((name) => `CAP_${name}`);

const PROFILE = '/usr/share/containers/seccomp.json';

/** The engines' default seccomp profile as the OCI runtime specification writes it, for these capabilities. */
function seccomp() {
  if (!existsSync(PROFILE)) return undefined;
  const profile = JSON.parse(readFileSync(PROFILE, 'utf8'));
  const arch = process.arch === 'x64' ? 'amd64' : process.arch;
  const [machine] = process.arch === 'x64' ? ['SCMP_ARCH_X86_64'] : ['SCMP_ARCH_AARCH64'];
  const applies = ({ includes = {}, excludes = {} }) =>
    (includes.arches?.includes(arch) ?? true) &&
    !excludes.arches?.includes(arch) &&
    (includes.caps?.every((cap) => CAPABILITIES.includes(cap)) ?? true) &&
    !excludes.caps?.some((cap) => CAPABILITIES.includes(cap));
  return {
    defaultAction: profile.defaultAction,
    defaultErrnoRet: profile.defaultErrnoRet,
    architectures: [
      machine,
      ...(profile.archMap.find((entry) => entry.architecture === machine)?.subArchitectures ?? []),
    ],
    syscalls: profile.syscalls.filter(applies).map(({ names, action, args, errnoRet }) => ({
      names,
      action,
      ...(args?.length > 0 ? { args } : {}),
      ...(errnoRet === undefined || action === 'SCMP_ACT_ALLOW' ? {} : { errnoRet }),
    })),
  };
}

const mount = (destination, type, options, source = type) => ({ destination, type, source, options });
const SAFE = ['nosuid', 'noexec', 'nodev'];

/** `config.json` for a process in new namespaces, its cgroup below `group`. */
export function configuration(args, group, rootfs) {
  const profile = seccomp();
  const namespaces = ['pid', 'network', 'mount', 'ipc', 'uts', 'cgroup'];
  return {
    ociVersion: '1.0.2',
    process: {
      user: { uid: 0, gid: 0 },
      args,
      env: ['PATH=/bin', 'HOME=/'],
      cwd: '/',
      capabilities: Object.fromEntries(
        ['bounding', 'effective', 'permitted', 'inheritable', 'ambient'].map((set, i) => [
          set,
          i < 3 ? CAPABILITIES : [],
        ]),
      ),
      noNewPrivileges: true,
      oomScoreAdj: 1000,
    },
    root: { path: rootfs, readonly: false },
    hostname: 'bench',
    mounts: [
      mount('/proc', 'proc', SAFE),
      mount('/dev', 'tmpfs', ['nosuid', 'strictatime', 'mode=755', 'size=65536k']),
      mount('/dev/pts', 'devpts', ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620', 'gid=5']),
      mount('/dev/shm', 'tmpfs', [...SAFE, 'mode=1777', 'size=65536k'], 'shm'),
      mount('/dev/mqueue', 'mqueue', SAFE),
      mount('/sys', 'sysfs', [...SAFE, 'ro']),
    ],
    linux: {
      namespaces: namespaces.map((type) => ({ type })),
      cgroupsPath: group,
      resources: {
        cpu: { shares: 102, quota: 100_000, period: 100_000 },
        memory: { limit: 64 << 20 },
        pids: { limit: 100 },
      },
      ...(profile ? { seccomp: profile } : {}),
      maskedPaths: ['/proc/acpi', '/proc/kcore', '/proc/keys', '/proc/timer_list', '/proc/scsi', '/sys/firmware'],
      readonlyPaths: ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger'],
    },
  };
}

/** A root file system of busybox alone. @returns its path */
export function makeRootfs(directory) {
  const rootfs = join(directory, 'rootfs');
  for (const name of ['bin', 'etc', 'tmp', 'proc', 'sys', 'dev']) mkdirSync(join(rootfs, name), { recursive: true });
  copyFileSync('/bin/busybox', join(rootfs, 'bin', 'busybox'));
  for (const name of ['sh', 'true', 'sleep']) symlinkSync('busybox', join(rootfs, 'bin', name));
  writeFileSync(join(rootfs, 'etc', 'passwd'), 'root:x:0:0::/:/bin/sh\n');
  return rootfs;
}

/** Writes a bundle directory. @returns its path */
export function writeBundle(directory, name, config) {
  const bundle = join(directory, name);
  mkdirSync(bundle, { recursive: true });
  writeFileSync(join(bundle, 'config.json'), JSON.stringify(config));
  return bundle;
}

export const hasSeccomp = existsSync(PROFILE);
