import * as fs from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Container } from '@trimtab/machinery';
import { parseEnvFile, readEnvFiles } from './env-file.js';
import { localSeccompProfile } from './seccomp-profile.js';

/** What containers are told of files of the node. */

let dir: string;
beforeEach(async () => {
  dir = await fs.mkdtemp(join(tmpdir(), 'sources-'));
});
afterEach(() => fs.rm(dir, { recursive: true, force: true }));

test('an env file has a variable a line, and says which line is none', () => {
  const text = `# what for\n\nA=1\n B = two words \nC='single # one'\nD="double"\nE=\nURL=http://x/?a=b\n`;
  expect(Object.fromEntries(parseEnvFile(text))).toEqual({
    A: '1',
    B: 'two words',
    C: 'single # one',
    D: 'double',
    E: '',
    URL: 'http://x/?a=b',
  });
  expect(() => parseEnvFile('A=1\nnonsense\n')).toThrow('line 2: "nonsense" is not of the form NAME=value');
});

test('variables come from files that containers write, and from nowhere else', async () => {
  const volume = join(dir, 'volume');
  await fs.mkdir(join(volume, 'config'), { recursive: true });
  await fs.writeFile(join(volume, 'config/env'), 'KEY=value\n');
  await fs.writeFile(join(dir, 'secret'), 'KEY=stolen\n');
  await fs.symlink('../secret', join(volume, 'link'));
  const read = async (path: string, key = 'KEY', optional = false) => {
    const ref = { volumeName: 'v', path, key, optional };
    const container: Container = { name: 'main', env: [{ name: 'A', valueFrom: { fileKeyRef: ref } }] };
    return (await readEnvFiles(container, () => volume))(ref);
  };
  expect(await read('config/env')).toBe('value');
  expect(await read('config/env', 'OTHER', true)).toBeUndefined();
  expect(await read('none', 'KEY', true)).toBeUndefined();
  await expect(read('config/env', 'OTHER')).rejects.toThrow(
    `couldn't find key "OTHER" in file "config/env" of volume "v"`,
  );
  await expect(read('none')).rejects.toThrow('file "none" not found in volume "v"');
  await expect(read('link')).rejects.toThrow('file "link" not found in volume "v"');
  await expect(read('config')).rejects.toThrow('env file "config" cannot be used: it is not a file');
});

test("a seccomp profile is OCI's, or an engine's that says the same; what is not understood is refused by name", async () => {
  const load = async (profile: object | string, name = 'profile.json') => {
    await fs.writeFile(join(dir, 'profile.json'), typeof profile === 'string' ? profile : JSON.stringify(profile));
    return localSeccompProfile(dir, name);
  };
  const syscalls = [{ names: ['mkdir', 'mkdirat'], action: 'SCMP_ACT_ERRNO', errnoRet: 1 }];
  const oci = { defaultAction: 'SCMP_ACT_ALLOW', architectures: ['SCMP_ARCH_X86_64'], syscalls };
  expect(await load(oci)).toEqual(oci);
  expect(
    await load({
      defaultAction: 'SCMP_ACT_ERRNO',
      archMap: [],
      syscalls: [{ name: 'read', action: 'SCMP_ACT_ALLOW', args: [], comment: '', includes: {}, excludes: {} }],
    }),
  ).toEqual({ defaultAction: 'SCMP_ACT_ERRNO', syscalls: [{ names: ['read'], action: 'SCMP_ACT_ALLOW', args: [] }] });
  const path = join(dir, 'profile.json');
  await expect(load({ ...oci, listenerPath: '/x' })).rejects.toThrow(
    `cannot load seccomp profile "${path}": "listenerPath" is no member of OCI's linux.seccomp`,
  );
  await expect(load({ ...oci, syscalls: [{ ...syscalls[0], includes: { caps: ['CAP_SYS_ADMIN'] } }] })).rejects.toThrow(
    `a rule's "includes" is not understood`,
  );
  await expect(load('{')).rejects.toThrow('SyntaxError');
  await expect(load(oci, 'absent.json')).rejects.toThrow('absent.json": ENOENT');
  await expect(load(oci, '../profile.json')).rejects.toThrow('it must be below that directory');
});
