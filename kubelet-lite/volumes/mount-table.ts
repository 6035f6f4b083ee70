import * as fs from 'node:fs/promises';

/** A line of `/proc/self/mountinfo`, as far as propagation goes. */
interface Mount {
  readonly point: string;
  readonly shared: boolean;
  readonly slave: boolean;
}

/** Octal escapes are how the kernel writes blanks and backslashes. */
const unescaped = (text: string): string =>
  text.replaceAll(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));

export function parseMounts(mountinfo: string): readonly Mount[] {
  return mountinfo
    .split('\n')
    .filter(Boolean)
    .map((line) => {
      const [before = ''] = line.split(' - ');
      const fields = before.split(' ');
      const tags = fields.slice(6);
      return {
        point: unescaped(fields[4] ?? ''),
        shared: tags.some((tag) => tag.startsWith('shared:')),
        slave: tags.some((tag) => tag.startsWith('master:')),
      };
    });
}

/** The mount a path is on: of those whose point is above it the innermost, and of several there the last. */
export function mountOf(path: string, mounts: readonly Mount[]): Mount | undefined {
  const above = mounts.filter(({ point }) => point === '/' || path === point || path.startsWith(`${point}/`));
  return above.reduce<Mount | undefined>(
    (best, mount) => (best && best.point.length > mount.point.length ? best : mount),
    undefined,
  );
}

/** Why mounts cannot come in, or go out, through a path as a `mountPropagation` asks; undefined when they can. */
export async function propagationRefusal(source: string, propagation: string | undefined): Promise<string | undefined> {
  if (propagation !== 'HostToContainer' && propagation !== 'Bidirectional') return undefined;
  const path = await fs.realpath(source);
  const mount = mountOf(path, parseMounts(await fs.readFile('/proc/self/mountinfo', 'utf8')));
  if (!mount || mount.shared || (propagation === 'HostToContainer' && mount.slave)) return undefined;
  const kind = propagation === 'Bidirectional' ? 'a shared' : 'a shared or slave';
  return `path "${path}" is mounted on "${mount.point}" but it is not ${kind} mount`;
}
