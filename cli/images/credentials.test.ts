import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { type CoreClient, parseReference } from '@trimtab/kubelet-lite';
import { coreHelper, credentialsOf, nodeCredentials } from './credentials.js';

describe('helpers that docker configurations name', () => {
  let directory: string;
  const before = { ...process.env };

  /** What was asked of the helper so far. */
  const asked = () => readFile(join(directory, 'asked'), 'utf8').catch(() => '');
  const configure = (config: object, place = 'docker') =>
    writeFile(join(directory, place, 'config.json'), JSON.stringify(config));

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'helpers-'));
    for (const place of ['docker', 'data']) await mkdir(join(directory, place));
    const script = join(directory, 'docker-credential-test');
    await writeFile(
      script,
      `#!/bin/sh
read -r server
echo "$1 $server" >> ${directory}/asked
case $server in
  r.io) echo '{"ServerURL":"r.io","Username":"me","Secret":"s3cret"}' ;;
  t.io) echo '{"ServerURL":"t.io","Username":"<token>","Secret":"refresh"}' ;;
  bad.io) echo 'password: hunter2' ;;
  *) echo 'credentials not found in native keychain'; exit 1 ;;
esac
`,
    );
    await chmod(script, 0o755);
    process.env.PATH = `${directory}${delimiter}${before.PATH}`;
    process.env.DOCKER_CONFIG = join(directory, 'docker');
    for (const name of ['REGISTRY_AUTH_FILE', 'XDG_RUNTIME_DIR']) delete process.env[name];
  });
  afterEach(async () => {
    process.env = { ...before };
    await rm(directory, { recursive: true });
  });
  const of = (image: string) => credentialsOf({ dataDir: directory }, parseReference(image));

  test('are asked for the registry of the image alone, before what the file itself holds', async () => {
    const auth = Buffer.from('file:p').toString('base64');
    await configure({ auths: { 'r.io': { auth }, 'other.io': {} }, credHelpers: { 'r.io': 'test' } });
    expect(await of('r.io/app')).toEqual([
      [
        ['r.io', { username: 'me', password: 's3cret' }],
        ['r.io', { username: 'file', password: 'p' }],
      ],
    ]);
    expect(await of('other.io/app')).toEqual([[['r.io', { username: 'file', password: 'p' }]]]);
    expect(await asked()).toBe('get r.io\n');
  });

  test('keep all credentials, also refresh tokens, where they are the store', async () => {
    await configure({ credsStore: 'test' });
    expect(await of('t.io/app')).toEqual([[['t.io', { identityToken: 'refresh' }]]]);
    expect(await of('redis')).toEqual([]);
    expect(await asked()).toBe('get t.io\nget https://index.docker.io/v1/\n');
  });

  test('that are not there know nothing; what is no answer is refused without being quoted', async () => {
    await configure({ credsStore: 'missing' });
    expect(await of('r.io/app')).toEqual([]);
    await configure({ credsStore: 'test' });
    await expect(of('bad.io/app')).rejects.toThrow(/config.json: docker-credential-test did not answer with JSON$/);
  });

  test('are run for a node by the native core', async () => {
    await configure({ credHelpers: { 'r.io': 'test' } }, 'data');
    const requests: unknown[] = [];
    const core = (exitCode: number): CoreClient => ({
      request: async <T>(op: string, params?: object) => {
        requests.push([op, params]);
        return { exitCode, stdout: '{"Username":"me","Secret":"s3cret"}', stderr: '' } as T;
      },
    });
    const of = (exitCode: number) => nodeCredentials(join(directory, 'data'), 'r.io/app:1', coreHelper(core(exitCode)));
    expect(await of(0)).toEqual([[['r.io', { username: 'me', password: 's3cret' }]], []]);
    expect(requests).toMatchObject([
      ['process.run', { args: [join(directory, 'docker-credential-test'), 'get'], stdin: 'r.io' }],
    ]);
    expect(await of(1)).toEqual([[], []]);
  });
});
