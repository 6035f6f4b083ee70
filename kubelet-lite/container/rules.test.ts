import * as fs from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Container, PodSpec } from '@trimtab/machinery';
import type { Pod } from '../pod/api.js';
import { oomScoreAdj, podLimit, podRequest, qosClass } from '../pod/qos.js';
import { pinSubPath } from '../volumes/pinned-path.js';
import { containerEnv } from './env.js';
import { expand } from './expansion.js';
import { readImageFile } from './image-files.js';
import { volumeMounts } from './mounts.js';
import { hostnameOf, resolverFile } from './network-files.js';
import { argsOf } from './oci-spec.js';
import {
  DEFAULT_RESTART_BACK_OFF,
  goDuration,
  KUBERNETES_BACK_OFF,
  nextDelay,
  parseBackOff,
  shouldRestart,
} from './restart.js';
import { ALL_CAPABILITIES, capabilitiesOf, DEFAULT_CAPABILITIES, seccompOf } from './security.js';
import { stopSignalOf } from './stop-signal.js';
import { resolveUser } from './user.js';

const container = (rest: Partial<Container> = {}): Container => ({ name: 'main', image: 'web:1', ...rest });
const pod = (spec: Partial<PodSpec> = {}): Pod => ({
  metadata: { namespace: 'ns', name: 'web', uid: 'u1', labels: { a: 'b' } },
  spec: { containers: [container()], ...spec },
});

test.each([
  ['$(A)-$(B)', 'one-$(B)'],
  ['$$(A)', '$(A)'],
  ['$$$(A)', '$one'],
  ['$A $(A', '$A $(A'],
])('%s expands to %s', (text, expected) => {
  expect(expand(text, (name) => ({ A: 'one' })[name])).toBe(expected);
});

test.each([
  [undefined, undefined, 'SIGTERM'],
  ['SIGQUIT', '10', 'SIGQUIT'],
  [undefined, '10', 'SIGUSR1'],
  [undefined, 'int', 'SIGINT'],
  [undefined, 'SIGRTMIN+3', 'SIGRTMIN+3'],
])('a container that asks for %s, of an image that asks for %s, is ended by %s', (own, image, signal) => {
  const lifecycle = own ? { lifecycle: { stopSignal: own } } : {};
  expect(stopSignalOf(container(lifecycle), image ? { StopSignal: image } : {})).toBe(signal);
});

test('command and args replace entrypoint and arguments as Kubernetes documents it', () => {
  const image = { Entrypoint: ['/ep'], Cmd: ['c'] };
  const args = (c: Partial<Container>) => argsOf(container(c), image, new Map());
  expect(args({})).toEqual(['/ep', 'c']);
  expect(args({ args: ['a'] })).toEqual(['/ep', 'a']);
  expect(args({ command: ['x'] })).toEqual(['x']);
  expect(args({ command: ['x'], args: ['a'] })).toEqual(['x', 'a']);
  expect(() => argsOf(container(), {}, new Map())).toThrow('no command specified');
});

describe('environment', () => {
  const sources = {
    pod: pod(),
    nodeName: 'n1',
    hostIP: '1.2.3.4',
    podIPs: ['10.0.0.1'],
    allocatable: { cpu: '4', memory: '8Gi' },
    services: [],
    configMap: (name: string) => (name === 'cm' ? { metadata: {}, data: { k: 'v', x: 'y' } } : undefined),
    secret: () => undefined,
  };
  const env = (c: Partial<Container>) => Object.fromEntries(containerEnv(container(c), sources));

  test('later sources win and may refer to earlier ones', () => {
    expect(
      env({
        envFrom: [{ prefix: 'CM_', configMapRef: { name: 'cm' } }],
        env: [
          { name: 'A', value: '$(CM_k)' },
          { name: 'A', value: '$(A)+' },
          { name: 'CPUS', valueFrom: { resourceFieldRef: { resource: 'limits.cpu' } } },
          { name: 'LABEL', valueFrom: { fieldRef: { fieldPath: "metadata.labels['a']" } } },
          { name: 'GONE', valueFrom: { secretKeyRef: { name: 's', key: 'k', optional: true } } },
        ],
      }),
    ).toEqual({ CM_k: 'v', CM_x: 'y', A: 'v+', CPUS: '4', LABEL: 'b' });
  });

  test('services come first, so that a pod can say otherwise; other namespaces and headless ones do not come', () => {
    const service = (namespace: string, name: string, clusterIP: string) => ({
      metadata: { namespace, name },
      spec: { clusterIP, ports: [{ port: 80 }] },
    });
    const services = [
      service('ns', 'db', '10.0.0.1'),
      service('other', 'far', '10.0.0.2'),
      service('ns', 'headless', 'None'),
      service('default', 'kubernetes', '10.0.0.3'),
    ];
    const named = (enableServiceLinks: boolean, c: Partial<Container> = {}) =>
      containerEnv(container(c), { ...sources, pod: pod({ enableServiceLinks }), services });
    const env = named(true, { env: [{ name: 'DB_SERVICE_HOST', value: 'mine' }] });
    expect(env.get('DB_SERVICE_HOST')).toBe('mine');
    expect(env.get('DB_PORT_80_TCP')).toBe('tcp://10.0.0.1:80');
    expect(env.get('KUBERNETES_SERVICE_HOST')).toBe('10.0.0.3');
    expect([...env.keys()].filter((name) => /FAR|HEADLESS/.test(name))).toEqual([]);
    expect([...named(false).keys()].every((name) => name.startsWith('KUBERNETES_'))).toBe(true);
  });

  test.each([
    [{ configMapKeyRef: { name: 'none', key: 'k' } }, 'configmap "none" not found'],
    [{ configMapKeyRef: { name: 'cm', key: 'no' } }, "couldn't find key no in ConfigMap ns/cm"],
    [{ secretKeyRef: { name: 'none', key: 'k' } }, 'secret "none" not found'],
    [{ fieldRef: { fieldPath: 'spec.secret' } }, 'unsupported fieldPath: spec.secret'],
  ])('%j fails with %s', (valueFrom, message) => {
    expect(() => env({ env: [{ name: 'A', valueFrom }] })).toThrow(message);
  });
});

describe('users', () => {
  const database = {
    passwd: 'root:x:0:0::/root:/bin/sh\nredis:x:999:998::/data:/bin/sh\n',
    group: 'redis:x:998:\nlog:x:500:redis\n',
  };
  const user = (imageUser: string, spec: Partial<PodSpec> = {}, c: Partial<Container> = {}) =>
    resolveUser({ containers: [], ...spec }, container(c), imageUser, database);

  test.each([
    ['', { uid: 0, gid: 0, additionalGids: [0], home: '/root' }],
    ['redis', { uid: 999, gid: 998, additionalGids: [998, 500], home: '/data' }],
    ['999', { uid: 999, gid: 998, additionalGids: [998, 500], home: '/data' }],
    ['1234', { uid: 1234, gid: 0, additionalGids: [0] }],
    ['redis:log', { uid: 999, gid: 500, additionalGids: [500], home: '/data' }],
    ['1234:77', { uid: 1234, gid: 77, additionalGids: [77] }],
  ])('USER %j', (text, expected) => expect(user(text)).toEqual(expected));

  test('the pod, then the container, override the image', () => {
    const spec = { securityContext: { runAsUser: 5, runAsGroup: 6, fsGroup: 8, supplementalGroups: [9] } };
    expect(user('redis', spec)).toEqual({ uid: 5, gid: 6, additionalGids: [6, 9, 8] });
    expect(user('redis', spec, { securityContext: { runAsUser: 999 } })).toMatchObject({ uid: 999, gid: 6 });
    const strict = { securityContext: { supplementalGroupsPolicy: 'Strict' } };
    expect(user('redis', strict).additionalGids).toEqual([998]);
  });

  test('what cannot be resolved never falls back to root', () => {
    expect(() => user('nobody')).toThrow('unable to find user nobody');
    expect(() => user('redis:nogroup')).toThrow('unable to find group nogroup');
    const nonRoot = { securityContext: { runAsNonRoot: true } };
    expect(() => user('', nonRoot)).toThrow('image will run as root');
    expect(() => user('redis', nonRoot)).toThrow('non-numeric user (redis)');
    expect(user('999', nonRoot).uid).toBe(999);
  });
});

describe('security', () => {
  const caps = (capabilities: object, privileged = false) =>
    capabilitiesOf(container({ securityContext: { capabilities, privileged } }));

  test('capabilities are added to and dropped from the default fourteen', () => {
    expect(caps({})).toEqual(DEFAULT_CAPABILITIES);
    expect(caps({ add: ['SYS_TIME'], drop: ['CHOWN'] })).toHaveLength(14);
    expect(caps({ add: ['NET_ADMIN'], drop: ['ALL'] })).toEqual(['CAP_NET_ADMIN']);
    expect(caps({ add: ['ALL'], drop: ['SYS_ADMIN'] })).toEqual(ALL_CAPABILITIES.filter((c) => c !== 'CAP_SYS_ADMIN'));
    expect(caps({}, true)).toEqual(ALL_CAPABILITIES);
    expect(() => caps({ add: ['FLY'] })).toThrow('unknown capability "CAP_FLY"');
  });

  test('seccomp is on unless a pod asks otherwise', () => {
    expect(seccompOf({ containers: [] }, container())).toEqual({ profile: 'runtime/default' });
    const unconfined = { seccompProfile: { type: 'Unconfined' } };
    expect(seccompOf({ containers: [], securityContext: unconfined }, container())).toBeUndefined();
    const strict = container({ securityContext: { seccompProfile: { type: 'RuntimeDefault' } } });
    expect(seccompOf({ containers: [], securityContext: unconfined }, strict)).toBeDefined();
  });
});

describe('names', () => {
  const node = 'domain old\nsearch example.org\nnameserver 1.1.1.1\noptions rotate\n';
  const conf = (spec: Partial<PodSpec>) =>
    resolverFile(pod(spec), { clusterDns: ['10.0.0.10'], clusterDomain: 'cluster.local', nodeResolvConf: node });

  test.each([
    [
      {},
      'search ns.svc.cluster.local svc.cluster.local cluster.local example.org\nnameserver 10.0.0.10\noptions ndots:5\n',
    ],
    [{ dnsPolicy: 'Default' }, 'search example.org\nnameserver 1.1.1.1\noptions rotate\n'],
    [{ hostNetwork: true, dnsPolicy: 'ClusterFirst' }, 'search example.org\nnameserver 1.1.1.1\noptions rotate\n'],
    [
      { dnsPolicy: 'None', dnsConfig: { nameservers: ['9.9.9.9'], options: [{ name: 'ndots', value: '2' }] } },
      'nameserver 9.9.9.9\noptions ndots:2\n',
    ],
    [
      { dnsConfig: { searches: ['more'], options: [{ name: 'ndots', value: '1' }, { name: 'edns0' }] } },
      'search ns.svc.cluster.local svc.cluster.local cluster.local example.org more\nnameserver 10.0.0.10\noptions ndots:1 edns0\n',
    ],
  ])('%j', (spec, expected) => expect(conf(spec)).toEqual({ text: expected, warnings: [] }));

  test('what is beyond the limits is left out, and said', () => {
    const names = ['1.1.1.1', '2.2.2.2', '3.3.3.3'];
    const long = `${'a'.repeat(60)}.`.repeat(4).slice(0, -1);
    const searches = [...Array.from({ length: 8 }, (_, n) => `${n}.${long}`), 'short', `toolong.${long}.${long}`];
    const { text, warnings } = conf({ dnsPolicy: 'None', dnsConfig: { nameservers: [...names, '4.4.4.4'], searches } });
    // The last ones go first: 2,048 characters hold eight of them, and a little name after these.
    const kept = searches.slice(0, 9).join(' ');
    expect(text).toBe(`search ${kept}\nnameserver 1.1.1.1\nnameserver 2.2.2.2\nnameserver 3.3.3.3\n`);
    expect(warnings).toEqual([
      `Search Line limits were exceeded, some search paths have been omitted, the applied search line is: ${kept}`,
      `Nameserver limits were exceeded, some nameservers have been omitted, the applied nameserver line is: ${names.join(' ')}`,
    ]);
    const many = Array.from({ length: 33 }, (_, n) => `s${n}`);
    expect(conf({ dnsPolicy: 'None', dnsConfig: { searches: many } }).text).toBe(
      `search ${many.slice(0, 32).join(' ')}\n`,
    );
    const wide = Array.from({ length: 9 }, (_, n) => `${n}.${long}`);
    const cut = conf({ dnsPolicy: 'None', dnsConfig: { searches: [...wide, 'short'] } });
    expect(cut.text).toBe(`search ${wide.slice(0, 8).join(' ')}\n`);
  });

  test('a hostname is the pod name, cut to what Linux takes', () => {
    expect(hostnameOf(pod(), 'd')).toBe('web');
    expect(hostnameOf({ ...pod(), metadata: { name: `${'a'.repeat(62)}-bc` } }, 'd')).toBe('a'.repeat(62));
    expect(hostnameOf(pod({ hostname: 'h', subdomain: 's', setHostnameAsFQDN: true }), 'd')).toBe('h.s.ns.svc.d');
  });
});

test('quality of service, requests and the order of dying', () => {
  const limits = { cpu: '1', memory: '1Gi' };
  const spec = (...list: Partial<Container>[]): PodSpec => ({ containers: list.map((c) => container(c)) });
  expect(qosClass(spec({}))).toBe('BestEffort');
  expect(qosClass(spec({ resources: { limits } }))).toBe('Guaranteed');
  expect(qosClass(spec({ resources: { limits, requests: { cpu: '500m' } } }))).toBe('Burstable');
  expect(qosClass(spec({ resources: { limits } }, {}))).toBe('Burstable');
  const many: PodSpec = {
    initContainers: [
      container({ name: 'side', restartPolicy: 'Always', resources: { requests: { cpu: '100m' } } }),
      container({ name: 'init', resources: { requests: { cpu: '2' } } }),
    ],
    containers: [
      container({ resources: { requests: { cpu: '500m' } } }),
      container({ resources: { requests: { cpu: '1' } } }),
    ],
    overhead: { cpu: '10m' },
  };
  expect(podRequest(many, 'cpu')).toBe(2_110);
  expect(podLimit(many, 'cpu')).toBeUndefined();
  expect(podLimit(spec({ resources: { limits } }, { resources: { limits } }), 'memory')).toBe(2 * 2 ** 30);
  const burstable = spec({ resources: { requests: { memory: '4Gi' } } });
  expect(oomScoreAdj(burstable, burstable.containers[0]!, 8 * 2 ** 30)).toBe(500);
  expect(oomScoreAdj({ ...burstable, priority: 2_000_001_000 }, burstable.containers[0]!, 8 * 2 ** 30)).toBe(-997);
});

test('back-off doubles to its cap, and what is restarted depends on kind, policy and rules', () => {
  const delays = (backOff = DEFAULT_RESTART_BACK_OFF) => {
    const list: number[] = [];
    for (let i = 0; i < 9; i++) list.push(nextDelay(backOff, list.at(-1), 5));
    return list.map(goDuration);
  };
  expect(delays()).toEqual(['0s', '1s', '2s', '4s', '8s', '16s', '32s', '1m0s', '1m0s']);
  expect(delays(KUBERNETES_BACK_OFF)).toEqual(['0s', '10s', '20s', '40s', '1m20s', '2m40s', '5m0s', '5m0s', '5m0s']);
  expect(delays(parseBackOff('2s..8s'))).toEqual(['0s', '2s', '4s', '8s', '8s', '8s', '8s', '8s', '8s']);
  expect(parseBackOff('kubernetes')).toBe(KUBERNETES_BACK_OFF);
  for (const wrong of ['', '1..2', '5s..2s', '0s..1s', 'slow']) expect(parseBackOff(wrong)).toBeUndefined();
  const rules = [{ action: 'Restart', exitCodes: { operator: 'In', values: [42] } }];
  expect(shouldRestart('main', 'Never', { restartPolicy: 'Never', restartPolicyRules: rules }, 42)).toBe(true);
  expect(shouldRestart('main', 'Never', { restartPolicyRules: rules }, 1)).toBe(false);
  expect(shouldRestart('init', 'Always', {}, 0)).toBe(false);
  expect(shouldRestart('sidecar', 'Never', {}, 0)).toBe(true);
});

describe('files of images and volumes', () => {
  let dir: string;
  beforeEach(async () => {
    dir = await fs.mkdtemp(join(tmpdir(), 'files-'));
  });
  afterEach(() => fs.rm(dir, { recursive: true, force: true }));

  test('an image file is read from the topmost layer that has it, never through a link', async () => {
    for (const layer of ['top', 'low', 'evil']) await fs.mkdir(join(dir, layer), { recursive: true });
    await fs.mkdir(join(dir, 'low/etc'));
    await fs.writeFile(join(dir, 'low/etc/passwd'), 'low');
    await fs.symlink('/etc', join(dir, 'evil/etc'));
    const read = (...layers: string[]) =>
      readImageFile(
        layers.map((l) => join(dir, l)),
        ['etc', 'passwd'],
      );
    expect(await read('top', 'low')).toBe('low');
    expect(await read('evil')).toBe('');
    expect(await read('evil', 'low')).toBe('');
    await fs.mkdir(join(dir, 'top/etc'));
    await fs.symlink('/etc/passwd', join(dir, 'top/etc/passwd'));
    expect(await read('top', 'low')).toBe('');
  });

  test('a subPath is made when missing, follows links within its volume, and never leads out', async () => {
    const volume = join(dir, 'volume');
    await fs.mkdir(join(volume, 'real'), { recursive: true });
    await fs.writeFile(join(volume, 'real/file'), 'inside');
    await fs.symlink('real', join(volume, 'link'));
    await fs.symlink(dir, join(volume, 'out'));
    const made = await pinSubPath(volume, 'a/b');
    expect((await fs.stat(made.path)).isDirectory()).toBe(true);
    expect((await fs.stat(join(volume, 'a/b'))).isDirectory()).toBe(true);
    await made.release();
    const file = await pinSubPath(volume, 'link/file');
    await fs.rm(join(volume, 'real/file'));
    await fs.symlink('/etc/passwd', join(volume, 'real/file'));
    // What was swapped after the look stays what it was.
    expect(await fs.readFile(file.path, 'utf8')).toBe('inside');
    await file.release();
    await expect(pinSubPath(volume, 'out')).rejects.toThrow('leads outside of its volume');
    await expect(pinSubPath(volume, 'out/x')).rejects.toThrow('leads outside of its volume');
  });
});

test('what the kubelet keeps up to date itself, no container can write', () => {
  const shown = [
    { name: 'config', configMap: { name: 'c' } },
    { name: 'keys', secret: { secretName: 's' } },
    { name: 'token', projected: { sources: [] } },
    { name: 'labels', downwardAPI: { items: [] } },
    { name: 'scratch', emptyDir: {} },
  ].map((volume) => {
    const mount = { name: volume.name, mountPath: `/${volume.name}`, readOnly: false };
    const [made] = volumeMounts([{ mount, volume, source: '/node' }]);
    return [volume.name, made?.options?.at(-1)];
  });
  const ours = ['config', 'keys', 'token', 'labels'].map((name) => [name, 'ro']);
  expect(shown).toEqual([...ours, ['scratch', 'rw']]);
});
