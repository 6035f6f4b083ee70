import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
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
    await expect(connectionFrom(config({ exec: { command: 'aws' } }))).rejects.toThrow(
      'logs in by exec, which is not supported',
    );
    await expect(loadKubeconfig('/nowhere/config')).rejects.toThrow('cannot read kubeconfig /nowhere/config');
  });
});
