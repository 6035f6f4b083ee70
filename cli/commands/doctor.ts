import { existsSync, readFileSync } from 'node:fs';
import { installCommand, isRoot, missing, NODE, nodeIsTooOld, packages } from '../bootstrap/requirements.mjs';
import { coreBinary } from '../core-binary.js';

/** One thing looked at. `mend` is a command, or words where no command helps. */
interface Finding {
  readonly what: string;
  readonly ok: boolean;
  readonly detail: string;
  readonly mend?: string;
}

/** Prints every finding; exit code 1 when pods cannot run here. */
export async function doctor(): Promise<void> {
  const findings = [...machine(), ...debian()];
  const colour = process.stdout.isTTY;
  for (const { what, ok, detail, mend } of findings) {
    const mark = ok ? paint(colour, 32, 'ok') : paint(colour, 31, 'missing');
    console.log(`${mark.padEnd(colour ? 16 : 7)}  ${what.padEnd(18)} ${detail}`);
    if (!ok && mend) console.log(`${' '.repeat(9)}mend: ${mend}`);
  }
  const lacking = findings.filter(({ ok }) => !ok);
  console.log(
    lacking.length === 0
      ? '\nThis machine can run everything.'
      : `\n${lacking.length} of ${findings.length} are missing.`,
  );
  if (lacking.length > 0) process.exitCode = 1;
}

function machine(): Finding[] {
  const filesystems = read('/proc/filesystems');
  const namespaces = ['mnt', 'pid', 'net', 'ipc', 'uts', 'cgroup'].filter(
    (name) => !existsSync(`/proc/self/ns/${name}`),
  );
  const v1 = read('/proc/self/mounts').match(/ cgroup rw/g)?.length ?? 0;
  const v2 = read('/sys/fs/cgroup/cgroup.controllers').trim();
  return [
    {
      what: 'Node',
      ok: !nodeIsTooOld(),
      detail: `${process.versions.node} (${NODE.join('.')} or newer is needed)`,
      mend: 'install Node 20.19 or newer',
    },
    {
      what: 'root',
      ok: isRoot(),
      detail: isRoot() ? 'pods can be run' : 'without root only API server, controllers and simulated nodes work',
      mend: 'sudo trimtab up',
    },
    {
      what: 'native core',
      ok: existsSync(coreBinary),
      detail: coreBinary,
      mend: 'npm run build',
    },
    {
      what: 'overlayfs',
      ok: filesystems.includes('overlay'),
      detail: "containers' root file systems",
      mend: 'modprobe overlay',
    },
    {
      what: 'namespaces',
      ok: namespaces.length === 0,
      detail: namespaces.length === 0 ? 'mnt pid net ipc uts cgroup' : `without ${namespaces.join(' ')}`,
      mend: 'a kernel with namespaces compiled in',
    },
    {
      what: 'cgroups',
      ok: v1 > 0 || v2 !== '',
      detail: v2 !== '' ? `v2: ${v2}` : `v1: ${v1} hierarchies`,
      mend: 'mount -t cgroup2 none /sys/fs/cgroup',
    },
    {
      what: 'capabilities',
      ok: hasCapabilities(),
      detail: 'CAP_SYS_ADMIN and CAP_NET_ADMIN',
      mend: 'run as root, outside of an unprivileged container',
    },
  ];
}

function debian(): Finding[] {
  const lacking = missing(...packages.map((p) => p.for));
  return packages.map((p) => ({
    what: p.package,
    ok: !lacking.includes(p),
    detail: `${p.why} (${p.for})`,
    mend: installCommand([p]),
  }));
}

const SYS_ADMIN = 1n << 21n;
const NET_ADMIN = 1n << 12n;

function hasCapabilities(): boolean {
  const mask = BigInt(`0x${/CapEff:\s+([\da-f]+)/.exec(read('/proc/self/status'))?.[1] ?? '0'}`);
  return (mask & SYS_ADMIN) !== 0n && (mask & NET_ADMIN) !== 0n;
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

const paint = (colour: boolean, code: number, text: string): string =>
  colour ? `\u001b[${code}m${text}\u001b[0m` : text;
