import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { NetworkKernel, ProcessRunParams, ProcessRunResult } from '../kernel.js';
import { parseConflist } from './conflist.js';
import { ExecPlugin } from './exec-plugin.js';
import { hostPortElements } from './host-ports.js';
import { CniPodNetwork, type PodAttachment } from './pod-network.js';
import type { CniError } from './types.js';

interface Call {
  readonly command: string;
  readonly plugin: string;
  readonly env: Readonly<Record<string, string>>;
  readonly config: Readonly<Record<string, unknown>>;
}

/** Programs as the native core would run them: a test says what each answers. */
class Programs implements NetworkKernel {
  readonly calls: Call[] = [];
  answer: (call: Call) => Partial<ProcessRunResult> = () => ({});

  request<R>(op: string, params: object): Promise<R> {
    if (op !== 'process.run') return Promise.reject(new Error(`unexpected ${op}`));
    const { args, env, stdin } = params as ProcessRunParams;
    const plugin = args[0]!.split('/').pop()!;
    if (args[0]!.startsWith('/empty')) return Promise.reject(new Error(`exec: ${args[0]}: ENOENT`));
    const variables = Object.fromEntries(env.map((v) => [v.slice(0, v.indexOf('=')), v.slice(v.indexOf('=') + 1)]));
    const call = { command: variables.CNI_COMMAND!, plugin, env: variables, config: JSON.parse(stdin) };
    this.calls.push(call);
    const stdout = call.command === 'ADD' ? JSON.stringify(resultOf(plugin)) : '';
    return Promise.resolve({ exitCode: 0, stdout, stderr: '', ...this.answer(call) } as R);
  }

  said(): readonly string[] {
    return this.calls.map((call) => `${call.command} ${call.plugin}`);
  }
}

const resultOf = (plugin: string): object => ({
  cniVersion: '1.1.0',
  ips: [{ address: '10.9.0.5/24' }],
  interfaces: [{ name: plugin }],
});

const LIST = {
  cniVersion: '1.1.0',
  name: 'net',
  plugins: [
    { type: 'bridge', bridge: 'b0' },
    { type: 'portmap', capabilities: { portMappings: true } },
  ],
};
const POD: PodAttachment = {
  sandboxId: 'sandbox-1',
  netns: '/run/netns/x',
  namespace: 'default',
  name: 'web',
  uid: 'u',
  hostPorts: [{ hostPort: 80, containerPort: 8080, protocol: 'TCP' }],
};

describe('a conflist of programs', () => {
  let directory: string;
  let programs: Programs;
  let network: CniPodNetwork;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'trimtab-cni-'));
    programs = new Programs();
    network = open(LIST);
  });
  afterEach(() => rmSync(directory, { recursive: true, force: true }));
  const open = (list: object): CniPodNetwork =>
    new CniPodNetwork(
      parseConflist(JSON.stringify(list)),
      (type) => new ExecPlugin(programs, type, ['/empty', '/opt/cni/bin']),
      directory,
    );

  test('ADD chains results, gives each plugin only the capabilities it declared, and the specified environment', async () => {
    expect(await network.add(POD)).toEqual({ ips: ['10.9.0.5'] });
    const [bridge, portmap] = programs.calls;
    expect(programs.said()).toEqual(['ADD bridge', 'ADD portmap']);
    expect(bridge!.config).toEqual({ type: 'bridge', bridge: 'b0', name: 'net', cniVersion: '1.1.0' });
    expect(portmap!.config).toEqual({
      type: 'portmap',
      name: 'net',
      cniVersion: '1.1.0',
      runtimeConfig: { portMappings: POD.hostPorts },
      prevResult: resultOf('bridge'),
    });
    expect(bridge!.env).toMatchObject({
      CNI_CONTAINERID: 'sandbox-1',
      CNI_NETNS: '/run/netns/x',
      CNI_IFNAME: 'eth0',
      CNI_PATH: '/empty:/opt/cni/bin',
      CNI_ARGS:
        'IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=web;K8S_POD_INFRA_CONTAINER_ID=sandbox-1;K8S_POD_UID=u',
    });
  });

  test('a second ADD runs nothing, also after a restart; DEL goes backwards with the final result, and twice', async () => {
    await network.add(POD);
    expect(await open(LIST).add(POD)).toEqual({ ips: ['10.9.0.5'] });
    expect(programs.calls).toHaveLength(2);
    await network.del(POD);
    await network.del(POD);
    expect(programs.said().slice(2)).toEqual(['DEL portmap', 'DEL bridge', 'DEL portmap', 'DEL bridge']);
    expect(programs.calls[3]!.config.prevResult).toEqual(resultOf('portmap'));
    expect(programs.calls[5]!.config.prevResult).toBeUndefined();
  });

  test("a plugin's error keeps its code and words, and what was added before is deleted again", async () => {
    programs.answer = (call) =>
      call.plugin === 'portmap' && call.command === 'ADD'
        ? { exitCode: 1, stdout: JSON.stringify({ code: 11, msg: 'try again', details: 'busy' }) }
        : {};
    const failure = await network.add(POD).catch((error: CniError) => error);
    expect(failure).toMatchObject({ code: 11, message: 'portmap ADD: try again: busy' });
    expect(programs.said()).toEqual(['ADD bridge', 'ADD portmap', 'DEL portmap', 'DEL bridge']);
  });

  test('DEL goes on after a failure and then reports it', async () => {
    programs.answer = (call) => (call.plugin === 'portmap' ? { exitCode: 2, stderr: 'no iptables' } : {});
    await expect(network.del(POD)).rejects.toThrow('portmap DEL failed with exit code 2: no iptables');
    expect(programs.said()).toEqual(['DEL portmap', 'DEL bridge']);
  });

  test('GC names the living to every plugin, after deleting what it knows to be gone', async () => {
    await network.add(POD);
    await network.add({ ...POD, sandboxId: 'sandbox-2' });
    programs.calls.length = 0;
    await network.gc(['sandbox-2']);
    expect(programs.said()).toEqual(['DEL portmap', 'DEL bridge', 'GC bridge', 'GC portmap']);
    expect(programs.calls[0]!.env.CNI_CONTAINERID).toBe('sandbox-1');
    expect(programs.calls[2]!.config['cni.dev/valid-attachments']).toEqual([
      { containerID: 'sandbox-2', ifname: 'eth0' },
    ]);
  });

  test('versions before 1.1 know neither STATUS nor GC', async () => {
    const old = open({ ...LIST, cniVersion: '1.0.0' });
    await old.status();
    await old.gc([]);
    expect(programs.calls).toHaveLength(0);
    await network.status();
    expect(programs.said()).toEqual(['STATUS bridge', 'STATUS portmap']);
  });

  test('verbs for one sandbox never overlap, those for others do', async () => {
    const order: string[] = [];
    const original = programs.request.bind(programs);
    programs.request = async <R>(op: string, params: object): Promise<R> => {
      const id = (params as ProcessRunParams).env.find((v) => v.startsWith('CNI_CONTAINERID='));
      order.push(`begin ${id?.slice(16)}`);
      await new Promise((done) => setImmediate(done));
      order.push(`end ${id?.slice(16)}`);
      return original<R>(op, params);
    };
    const single = open({ ...LIST, plugins: [{ type: 'bridge' }] });
    await Promise.all([single.add(POD), single.del(POD), single.add({ ...POD, sandboxId: 's2' })]);
    const own = order.filter((line) => line.endsWith('sandbox-1'));
    for (let i = 0; i < own.length; i += 2) expect([own[i], own[i + 1]]).toEqual(['begin sandbox-1', 'end sandbox-1']);
    expect(order.indexOf('begin s2')).toBeLessThan(order.lastIndexOf('end sandbox-1'));
  });

  test('bad container ids never reach a plugin', async () => {
    await expect(network.add({ ...POD, sandboxId: '../x' })).rejects.toMatchObject({ code: 4 });
    expect(programs.calls).toHaveLength(0);
  });
});

describe('reading a conflist', () => {
  test.each([
    ['{', 6, 'not JSON'],
    ['[]', 6, 'not an object'],
    [JSON.stringify({ ...LIST, name: '../x' }), 7, 'invalid network name: ../x'],
    [JSON.stringify({ ...LIST, plugins: [] }), 7, 'at least one plugin'],
    [JSON.stringify({ ...LIST, plugins: [{}] }), 7, 'plugins[0].type'],
    [JSON.stringify({ ...LIST, plugins: [{ type: '../sh' }] }), 7, 'plugins[0].type'],
    [JSON.stringify({ ...LIST, cniVersion: '0.2.0' }), 1, '0.2.0; known are'],
    [JSON.stringify({ ...LIST, disableCheck: 'maybe' }), 7, 'disableCheck'],
  ])('%p is refused with code %d', (text, code, message) => {
    let thrown: unknown;
    try {
      parseConflist(text);
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toMatchObject({ code });
    expect((thrown as Error).message).toContain(message);
  });

  test('of several versions the newest known one is taken', () => {
    const list = parseConflist(JSON.stringify({ ...LIST, cniVersion: '0.4.0', cniVersions: ['1.0.0', '2.0.0'] }));
    expect(list.cniVersion).toBe('1.0.0');
  });
});

test('host ports: any address unless one is named; protocols and addresses that are none are refused', () => {
  const mapping = { hostPort: 80, containerPort: 8080, protocol: 'TCP' };
  expect([...hostPortElements([mapping, { ...mapping, hostIP: '10.0.0.1', protocol: 'udp' }], '10.1.2.3')]).toEqual([
    ['000000000600000000500000', '0a0102031f900000'],
    ['0a0000011100000000500000', '0a0102031f900000'],
  ]);
  expect(hostPortElements([{ ...mapping, hostPort: 0 }], '10.1.2.3').size).toBe(0);
  expect(() => hostPortElements([{ ...mapping, protocol: 'ICMP' }], '10.1.2.3')).toThrow('protocol "ICMP"');
  expect(() => hostPortElements([{ ...mapping, hostIP: 'x' }], '10.1.2.3')).toThrow('hostIP "x"');
});
