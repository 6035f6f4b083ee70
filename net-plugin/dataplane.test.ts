import { writeFileSync } from 'node:fs';
import { Informers } from '@trimtab/client';
import { EndpointSlices, Services, seededRandom, silentLogger, systemClock } from '@trimtab/machinery';
import type { PodAttachment } from './cni/pod-network.js';
import { type Dataplane, type DataplaneOptions, removeNetwork, startDataplane } from './dataplane.js';
import { MemoryClient } from './testing/memory-client.js';
import { service, slice } from './testing/objects.js';
import { canRunKernelTests, TestNode } from './testing/test-node.js';

/** Everything here runs against the kernel, in network namespaces of its own. */
const describeInKernel = canRunKernelTests() ? describe : describe.skip;

const GATEWAY = '10.244.0.1';

function optionsOf(node: TestNode, more: Partial<DataplaneOptions> = {}): DataplaneOptions {
  return {
    kernel: node.kernel,
    clock: systemClock,
    logger: silentLogger,
    podCidr: '10.244.0.0/24',
    serviceCidr: '10.96.0.0/16',
    dnsIP: '10.96.0.10',
    nodeName: 'node-1',
    nodeIPs: [],
    stateDir: node.directory,
    ...more,
  };
}

interface Running {
  readonly dataplane: Dataplane;
  readonly client: MemoryClient;
  stop(): Promise<void>;
}

async function run(options: DataplaneOptions, client = new MemoryClient()): Promise<Running> {
  const informers = new Informers({
    client: client.asClient,
    clock: systemClock,
    random: seededRandom(1),
    logger: silentLogger,
    watchList: false,
  });
  const dataplane = await startDataplane(options, informers);
  informers.start();
  await dataplane.proxy.start();
  return {
    dataplane,
    client,
    stop: async () => {
      await dataplane.proxy.stop();
      informers.stop();
    },
  };
}

const attachmentOf = (name: string, netns: string, hostPorts: PodAttachment['hostPorts'] = []): PodAttachment => ({
  sandboxId: name,
  netns,
  namespace: 'default',
  name,
  uid: name,
  hostPorts,
});

/** How often each answer came. */
async function tally(times: number, ask: () => Promise<string>): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (let i = 0; i < times; i++) {
    const said = await ask();
    counts[said] = (counts[said] ?? 0) + 1;
  }
  return counts;
}

describeInKernel.each(['routed', 'bridge'] as const)('pods attached %s, on a machine with only lo', (attachment) => {
  let node: TestNode;
  let running: Running;
  let a: string;
  let b: string;
  let ipA: string;
  let ipB: string;
  let netnsA: string;

  beforeAll(async () => {
    node = await TestNode.start();
    running = await run(optionsOf(node, { attachment }));
    const podA = node.addPod('a');
    const podB = node.addPod('b');
    a = podA.pod;
    b = podB.pod;
    netnsA = podA.netns;
    const { network } = running.dataplane;
    ipA = (await network.add(attachmentOf('a', podA.netns, [{ hostPort: 9090, containerPort: 8080, protocol: 'TCP' }])))
      .ips[0]!;
    ipB = (await network.add(attachmentOf('b', podB.netns))).ips[0]!;
    await Promise.all([node.serve(a, 'a', 8080), node.serve(b, 'b', 8080), node.serve(node.name, 'api', 6443)]);
  });

  afterAll(async () => {
    await running?.stop();
    node?.dispose();
  });

  const put = async (name: string, ip: string, spec: object, ...args: readonly unknown[]): Promise<void> => {
    running.client.put(Services, service(name, ip, spec));
    if (args.length > 0)
      running.client.put(EndpointSlices, slice(name, args[0] as string[], args[1] as [] | undefined));
    await running.dataplane.proxy.whenIdle();
  };

  test('pods reach each other, the node and themselves, and see real addresses', async () => {
    expect(await node.ask(a, ipB, 8080)).toBe(`b ${ipA}`);
    expect(await node.ask(a, ipA, 8080)).toBe(`a ${ipA}`);
    expect(await node.ask(node.name, ipB, 8080)).toBe(`b ${GATEWAY}`);
    expect(await node.ask(a, running.dataplane.nodeIP, 6443)).toBe(`api ${ipA}`);
  });

  test('an address no pod has is unreachable at once', async () => {
    expect(['EHOSTUNREACH', 'timeout']).toContain(await node.ask(node.name, '10.244.0.77', 8080, { within: 300 }));
  });

  test('a second ADD answers the same address, and CHECK agrees until the address is taken away', async () => {
    const { network } = running.dataplane;
    const attachment = attachmentOf('a', netnsA, [{ hostPort: 9090, containerPort: 8080, protocol: 'TCP' }]);
    expect(await network.add(attachment)).toEqual({ ips: [ipA] });
    await network.check(attachment);
    node.exec(a, 'ip', 'addr', 'del', `${ipA}/32`, 'dev', 'eth0');
    await expect(network.check(attachment)).rejects.toThrow(`eth0 has lost its address ${ipA}`);
    await network.add(attachment);
    await network.check(attachment);
    expect(await node.ask(b, ipA, 8080)).toBe(`a ${ipB}`);
  });

  test('a cluster IP spreads over its endpoints evenly, from pods and from the node', async () => {
    await put('web', '10.96.0.20', {}, [ipA, ipB]);
    const client = node.addPod('client');
    const { ips } = await running.dataplane.network.add(attachmentOf('client', client.netns));
    const counts = await tally(200, () => node.ask(client.pod, '10.96.0.20', 80));
    expect(Object.keys(counts).sort()).toEqual([`a ${ips[0]}`, `b ${ips[0]}`]);
    // Five standard deviations of 200 fair coins.
    expect(Math.abs(counts[`a ${ips[0]}`]! - 100)).toBeLessThan(36);
    expect(['a', 'b']).toContain((await node.ask(node.name, '10.96.0.20', 80))[0]);
  });

  test('a pod reaches itself through its own service', async () => {
    await put('self', '10.96.0.21', {}, [ipA]);
    expect(await node.ask(a, '10.96.0.21', 80)).toMatch(/^a /);
  });

  /** Slices that nobody's controller made, of a Service that selects nothing, each with a name of its own. */
  const byHand = async (name: string, ip: string, ports: readonly object[], ...slices: [string, object][]) => {
    running.client.put(Services, service(name, ip, { ports: ports as [] }));
    for (const [i, [address, port]] of slices.entries()) {
      const made = slice(name, [address], [port]);
      running.client.put(EndpointSlices, { ...made, metadata: { ...made.metadata, name: `${name}-custom-${i}` } });
    }
    await running.dataplane.proxy.whenIdle();
  };

  test('[sig-network] EndpointSlice should support a Service with multiple ports specified in multiple EndpointSlices [Conformance]', async () => {
    const ports = [
      { name: 'portname1', port: 80, protocol: 'TCP' },
      { name: 'portname2', port: 81, protocol: 'TCP' },
    ];
    await byHand(
      'ports',
      '10.96.0.41',
      ports,
      [ipA, { name: 'portname1', port: 8080 }],
      [ipB, { name: 'portname2', port: 8080 }],
    );
    for (let i = 0; i < 8; i++)
      expect([await node.ask(b, '10.96.0.41', 80), await node.ask(a, '10.96.0.41', 81)]).toEqual([
        `a ${ipB}`,
        `b ${ipA}`,
      ]);
  });

  test('[sig-network] EndpointSlice should support a Service with multiple endpoint IPs specified in multiple EndpointSlices [Conformance]', async () => {
    const port = { name: 'portname1', port: 8080 };
    await byHand(
      'addresses',
      '10.96.0.42',
      [{ name: 'portname1', port: 80, protocol: 'TCP' }],
      [ipA, port],
      [ipB, port],
    );
    const counts = await tally(40, () => node.ask(node.name, '10.96.0.42', 80));
    expect(
      Object.keys(counts)
        .map((answer) => answer[0])
        .sort(),
    ).toEqual(['a', 'b']);
  });

  test('the API server: a service whose endpoint is the node itself', async () => {
    await put(
      'kubernetes',
      '10.96.0.1',
      { ports: [{ name: 'https', port: 443 }] },
      [running.dataplane.nodeIP],
      [{ name: 'https', port: 6443 }],
    );
    expect(await node.ask(a, '10.96.0.1', 443)).toBe(`api ${ipA}`);
    expect(await node.ask(node.name, '10.96.0.1', 443)).toBe(`api ${GATEWAY}`);
  });

  test('no endpoints, ports a service does not have, and deleted services refuse', async () => {
    await put('empty', '10.96.0.22', {});
    expect(await node.ask(a, '10.96.0.22', 80)).toBe('ECONNREFUSED');
    expect(await node.ask(node.name, '10.96.0.22', 80)).toBe('ECONNREFUSED');
    await put('empty', '10.96.0.22', {}, [ipB]);
    expect(await node.ask(a, '10.96.0.22', 80)).toBe(`b ${ipA}`);
    expect(await node.ask(a, '10.96.0.22', 81)).toBe('ECONNREFUSED');
    running.client.remove(EndpointSlices, 'default/empty-1');
    await running.dataplane.proxy.whenIdle();
    expect(await node.ask(a, '10.96.0.22', 80)).toBe('ECONNREFUSED');
    running.client.remove(Services, 'default/empty');
    await running.dataplane.proxy.whenIdle();
    expect(await node.ask(a, '10.96.0.22', 80)).toBe('ECONNREFUSED');
  });

  test('a node port answers on every address of the node, 127.0.0.1 included', async () => {
    await put('np', '10.96.0.23', { type: 'NodePort', ports: [{ port: 80, nodePort: 30080 }] }, [ipB]);
    expect(await node.ask(node.name, '127.0.0.1', 30080)).toMatch(/^b /);
    expect(await node.ask(node.name, GATEWAY, 30080)).toBe(`b ${GATEWAY}`);
    expect(await node.ask(a, running.dataplane.nodeIP, 30080)).toMatch(/^b /);
    expect(await node.ask(b, running.dataplane.nodeIP, 30080)).toMatch(/^b /);
  });

  test('pods cannot reach what listens on the node on 127.0.0.1', async () => {
    const { pod, netns } = node.addPod('intruder');
    await running.dataplane.network.add(attachmentOf('intruder', netns));
    // A pod that owns its namespace can send anything: here, packets to the loopback network out of eth0.
    for (const command of [
      'ip addr flush dev lo',
      'sysctl -qw net.ipv4.conf.all.route_localnet=1',
      `ip route add 127.0.0.0/8 via ${GATEWAY} dev eth0 onlink`,
    ])
      node.exec(pod, ...command.split(' '));
    expect(await node.ask(pod, GATEWAY, 6443)).toMatch(/^api /);
    expect(await node.ask(pod, '127.0.0.1', 6443, { within: 300 })).toBe('timeout');
  });

  test('a host port leads to its pod and closes with it', async () => {
    expect(await node.ask(node.name, '127.0.0.1', 9090)).toMatch(/^a /);
    expect(await node.ask(b, GATEWAY, 9090)).toBe(`a ${ipB}`);
    const extra = node.addPod('hp');
    const ports = [{ hostPort: 9091, containerPort: 8080, protocol: 'TCP' }];
    const { network } = running.dataplane;
    await network.add(attachmentOf('hp', extra.netns, ports));
    await node.serve(extra.pod, 'hp', 8080);
    expect(await node.ask(node.name, GATEWAY, 9091)).toBe(`hp ${GATEWAY}`);
    await network.del(attachmentOf('hp', extra.netns, ports));
    await network.del(attachmentOf('hp', extra.netns, ports));
    expect(await node.ask(node.name, GATEWAY, 9091)).toBe('ECONNREFUSED');
  });

  test('ClientIP affinity: one client always meets the same endpoint', async () => {
    await put('sticky', '10.96.0.24', { sessionAffinity: 'ClientIP' }, [ipA, ipB]);
    expect(Object.keys(await tally(20, () => node.ask(b, '10.96.0.24', 80)))).toHaveLength(1);
  });

  test('policy Local drops without an endpoint on the node, and keeps the client address with one', async () => {
    const spec = { type: 'NodePort', externalTrafficPolicy: 'Local', ports: [{ port: 80, nodePort: 30081 }] };
    running.client.put(EndpointSlices, slice('local', [{ ip: ipB, nodeName: 'elsewhere' }]));
    await put('local', '10.96.0.25', spec);
    expect(await node.ask(a, GATEWAY, 30081, { within: 300 })).toBe('timeout');
    await put('local', '10.96.0.25', spec, [ipB]);
    expect(await node.ask(a, GATEWAY, 30081)).toBe(`b ${ipA}`);
  });

  test('a UDP client that keeps its port is sent on when its endpoint goes', async () => {
    const spec = { ports: [{ port: 53, protocol: 'UDP' }] };
    const port = [{ port: 8080, protocol: 'UDP' }];
    await put('udp', '10.96.0.26', spec, [ipA], port);
    const ask = (): Promise<string> => node.ask(node.name, '10.96.0.26', 53, { udp: true, from: 40000 });
    expect(await ask()).toMatch(/^a /);
    await put('udp', '10.96.0.26', spec, [ipB], port);
    expect(await ask()).toMatch(/^b /);
  });
});

describeInKernel('restart and collection', () => {
  let node: TestNode;
  beforeEach(async () => {
    node = await TestNode.start();
  });
  afterEach(() => node.dispose());

  test('a restart keeps pods, addresses, host ports and Services; GC drops what no sandbox has any more', async () => {
    const first = await run(optionsOf(node));
    const ports = [{ hostPort: 9090, containerPort: 8080, protocol: 'TCP' }];
    const a = node.addPod('a');
    const b = node.addPod('b');
    const [ipA] = (await first.dataplane.network.add(attachmentOf('a', a.netns, ports))).ips;
    const [ipB] = (await first.dataplane.network.add(attachmentOf('b', b.netns, [{ ...ports[0]!, hostPort: 9091 }])))
      .ips;
    await node.serve(a.pod, 'a', 8080);
    first.client.put(Services, service('web', '10.96.0.20'));
    first.client.put(EndpointSlices, slice('web', [ipA!]));
    await first.dataplane.proxy.whenIdle();
    await first.stop();
    expect(await node.ask(b.pod, '10.96.0.20', 80)).toBe(`a ${ipB}`);

    const second = await run(optionsOf(node), first.client);
    expect(await node.ask(b.pod, '10.96.0.20', 80)).toBe(`a ${ipB}`);
    expect(await node.ask(node.name, GATEWAY, 9090)).toBe(`a ${GATEWAY}`);
    expect(await second.dataplane.network.add(attachmentOf('a', a.netns, ports))).toEqual({ ips: [ipA] });
    await second.dataplane.network.gc(['a']);
    const elements = async (set: string): Promise<readonly string[]> => {
      const tables = node.exec(node.name, 'ip', '-o', 'link', 'show', 'type', 'bridge').match(/: (\w+)-pods:/);
      const answer = await node.kernel.request<{ elements: readonly string[] }>('nft.elements', {
        table: `${tables?.[1]}-pods`,
        set,
      });
      return answer.elements;
    };
    expect(await elements('hostports')).toHaveLength(1);
    expect(node.exec(node.name, 'ip', '-o', 'link', 'show', 'type', 'veth').trim().split('\n')).toHaveLength(1);
    expect(await node.ask(node.name, GATEWAY, 9090)).toBe(`a ${GATEWAY}`);
    // The freed address rests; the next pod gets another.
    const c = node.addPod('c');
    expect((await second.dataplane.network.add(attachmentOf('c', c.netns))).ips[0]).not.toBe(ipB);
    await second.stop();
  });

  test('100 attachments at once get 100 addresses', async () => {
    const { dataplane, stop } = await run(optionsOf(node));
    const pods = Array.from({ length: 100 }, (_, i) => node.addPod(`p${i}`));
    const statuses = await Promise.all(pods.map(({ pod, netns }) => dataplane.network.add(attachmentOf(pod, netns))));
    expect(new Set(statuses.map((s) => s.ips[0])).size).toBe(100);
    await Promise.all(pods.map(({ pod, netns }) => dataplane.network.del(attachmentOf(pod, netns))));
    await stop();
  });

  test('nothing of a removed network is left, and other tables stay', async () => {
    node.exec(node.name, 'ip', 'link', 'add', 'other', 'type', 'bridge');
    const options = optionsOf(node);
    const { dataplane, stop } = await run(options);
    const { pod, netns } = node.addPod('a');
    await dataplane.network.add(attachmentOf(pod, netns));
    await stop();
    await removeNetwork(options);
    await removeNetwork(options);
    expect(node.exec(node.name, 'ip', '-br', 'link').match(/^\S+/gm)).toEqual(['lo', 'other']);
    expect(node.exec(node.name, 'ip', 'route').trim()).toBe('');
  });

  test('a plugin of a conflist that is not there is named', async () => {
    const file = `${node.directory}/net.conflist`;
    writeFileSync(file, JSON.stringify({ cniVersion: '1.0.0', name: 'x', plugins: [{ type: 'nosuch' }] }));
    const { dataplane, stop } = await run(optionsOf(node, { conflist: { file, path: ['/opt/nosuch'] } }));
    const { pod, netns } = node.addPod('a');
    await expect(dataplane.network.add(attachmentOf(pod, netns))).rejects.toThrow(
      'CNI plugin "nosuch" could not be run from /opt/nosuch',
    );
    await stop();
  });
});
