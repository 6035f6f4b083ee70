import { mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { VirtualClock } from '@trimtab/machinery';
import { connectionFrom, inClusterConnection, loadKubeconfig } from './kubeconfig.js';

describe('kubeconfig', () => {
  const base64 = (text: string) => Buffer.from(text).toString('base64');
  const config = (user: object, more: object = {}) =>
    JSON.stringify({
      'current-context': 'c',
      contexts: [
        { name: 'c', context: { cluster: 'k', user: 'u', namespace: 'n' } },
        { name: 'bad', context: { cluster: 'x' } },
      ],
      clusters: [
        { name: 'k', cluster: { server: 'https://h:1/', 'certificate-authority-data': base64('CA'), ...more } },
      ],
      users: [{ name: 'u', user }],
    });

  test('gives server, trust and identity, from data or files beside it', async () => {
    expect(
      await connectionFrom(config({ 'client-certificate-data': base64('C'), 'client-key-data': base64('K') })),
    ).toEqual({
      server: 'https://h:1',
      ca: 'CA',
      cert: 'C',
      key: 'K',
      namespace: 'n',
    });
    const directory = await mkdtemp(join(tmpdir(), 'kubeconfig-'));
    await writeFile(join(directory, 'token'), 'secret\n');
    await writeFile(join(directory, 'ca.pem'), 'PEM');
    await writeFile(
      join(directory, 'config'),
      config({ tokenFile: 'token' }, { 'certificate-authority-data': undefined, 'certificate-authority': 'ca.pem' }),
    );
    const loaded = await loadKubeconfig(join(directory, 'config'));
    expect(loaded.ca).toBe('PEM');
    expect(await (loaded.token as () => Promise<string>)()).toBe('secret');
  });

  test('a pod finds its own', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'serviceaccount-'));
    for (const [name, text] of Object.entries({ 'ca.crt': 'PEM', namespace: 'ns\n', token: 'secret\n' }))
      await writeFile(join(directory, name), text);
    const own = await inClusterConnection({ host: 'fd00::1', port: '443' }, directory);
    expect(own).toMatchObject({ server: 'https://[fd00::1]:443', ca: 'PEM', namespace: 'ns' });
    expect(await (own.token as () => Promise<string>)()).toBe('secret');
    await expect(inClusterConnection({ host: undefined, port: undefined })).rejects.toThrow('not in a pod');
    await expect(inClusterConnection({ host: 'h', port: '1' }, '/nowhere')).rejects.toThrow('cannot read /nowhere/');
  });

  test('says what is wrong with it', async () => {
    await expect(connectionFrom('{}')).rejects.toThrow('kubeconfig: current-context is not set');
    await expect(connectionFrom(config({}), { context: 'nope' })).rejects.toThrow('no context "nope"');
    await expect(connectionFrom(config({}), { context: 'bad' })).rejects.toThrow('no cluster "x"');
    await expect(connectionFrom(config({ 'auth-provider': { name: 'gcp' } }))).rejects.toThrow(
      'logs in by auth-provider',
    );
    await expect(loadKubeconfig('/nowhere/config')).rejects.toThrow('cannot read kubeconfig /nowhere/config');
  });

  test('several files are merged, the first to name something wins, and paths stay relative to their own', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'kubeconfig-'));
    const at = (name: string) => join(directory, name);
    await writeFile(
      at('first'),
      JSON.stringify({ 'current-context': 'c', users: [{ name: 'u', user: { token: 'first' } }] }),
    );
    await writeFile(at('second'), config({ token: 'second' }));
    const merged = await loadKubeconfig([at('nowhere'), at('first'), at('second')]);
    expect(merged).toMatchObject({ token: 'first', server: 'https://h:1' });
    await expect(loadKubeconfig([at('nowhere'), at('neither')])).rejects.toThrow('none of');
  });

  test('impersonation, passwords and proxies', async () => {
    const user = {
      username: 'me',
      password: 'pw',
      as: 'system:admin',
      'as-groups': ['a', 'b'],
      'as-user-extra': { Scope: ['x'] },
    };
    expect(await connectionFrom(config(user, { 'proxy-url': 'socks5://p:1' }))).toMatchObject({
      basic: { username: 'me', password: 'pw' },
      headers: {
        'impersonate-user': 'system:admin',
        'impersonate-group': ['a', 'b'],
        'impersonate-extra-scope': ['x'],
      },
      proxy: 'socks5://p:1',
    });
    const environment = { https_proxy: 'http://p:2', NO_PROXY: '.internal,h2' };
    expect((await connectionFrom(config({}), { environment })).proxy).toBe('http://p:2');
    for (const server of ['https://h2', 'https://a.internal', 'https://127.0.0.1:6443'])
      expect((await connectionFrom(config({}, { server }), { environment })).proxy).toBeUndefined();
  });

  test('a plugin is run once until its credentials expire or are refused, and what it says is wrong is told', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'plugin-'));
    const script = `#!/bin/sh
echo run >> "$LOG"
echo "$KUBERNETES_EXEC_INFO" > "$LOG.info"
echo '{"kind":"ExecCredential","status":{"token":"'$1'","expirationTimestamp":"2026-01-01T01:00:00Z"}}'
`;
    await writeFile(join(directory, 'plugin'), script, { mode: 0o755 });
    const log = join(directory, 'log');
    const exec = {
      command: './plugin',
      args: ['secret'],
      env: [{ name: 'LOG', value: log }],
      provideClusterInfo: true,
    };
    const clock = new VirtualClock();
    const { credentials } = await connectionFrom(config({ exec }), { directory, clock, environment: { PATH: '/bin' } });
    const runs = async () => (await readFile(log, 'utf8')).split('\n').length - 1;
    expect(await Promise.all([credentials!.get(), credentials!.get()])).toEqual([
      { token: 'secret' },
      { token: 'secret' },
    ]);
    await credentials!.get();
    expect(await runs()).toBe(1);
    expect(JSON.parse(await readFile(`${log}.info`, 'utf8'))).toMatchObject({
      kind: 'ExecCredential',
      spec: { interactive: false, cluster: { server: 'https://h:1/' } },
    });
    await clock.advance(3_600_000);
    await credentials!.get();
    credentials!.refused();
    await credentials!.get();
    expect(await runs()).toBe(3);
    const missing = await connectionFrom(config({ exec: { command: 'no-such-plugin', installHint: 'get it' } }));
    await expect(missing.credentials!.get()).rejects.toThrow('no-such-plugin: is not installed\nget it');
    const chatty = await connectionFrom(config({ exec: { command: 'echo', args: ['hello'] } }), {
      environment: { PATH: '/bin:/usr/bin' },
    });
    await expect(chatty.credentials!.get()).rejects.toThrow('is no ExecCredential: hello');
  });
});
