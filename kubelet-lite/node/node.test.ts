import { interpose } from '@trimtab/client';
import { Leases, type Node, Nodes, serviceUnavailable, VirtualClock } from '@trimtab/machinery';
import { SimulatedImages, SimulatedNetwork } from '../simulated/simulated-node.js';
import { MemoryClient } from '../testing/memory-client.js';
import { NodeUnderTest } from '../testing/node-under-test.js';
import { keepLease } from './node-lease.js';

class Network extends SimulatedNetwork {
  trouble: string | undefined;
  override async status(): Promise<void> {
    if (this.trouble) throw new Error(this.trouble);
  }
}

describe('the node', () => {
  test('registers with what kubectl shows, and is Ready', async () => {
    const node = await NodeUnderTest.start();
    const object = await node.client.get(Nodes, { name: 'n1' });
    expect(object.metadata.labels).toEqual({
      'kubernetes.io/hostname': 'n1',
      'kubernetes.io/os': 'linux',
      'kubernetes.io/arch': 'amd64',
    });
    expect(object.status).toMatchObject({
      capacity: { cpu: '4', memory: '8Gi', pods: '250' },
      allocatable: { cpu: '4', memory: '8092Mi' },
      addresses: [
        { type: 'InternalIP', address: '192.168.0.1' },
        { type: 'Hostname', address: 'n1' },
      ],
      daemonEndpoints: { kubeletEndpoint: { Port: 10250 } },
      nodeInfo: { operatingSystem: 'linux', architecture: 'amd64', osImage: 'Debian GNU/Linux 12 (bookworm)' },
    });
    expect(object.status?.conditions?.map((c) => [c.type, c.status, c.reason])).toEqual([
      ['MemoryPressure', 'False', 'KubeletHasSufficientMemory'],
      ['DiskPressure', 'False', 'KubeletHasNoDiskPressure'],
      ['PIDPressure', 'False', 'KubeletHasSufficientPID'],
      ['Ready', 'True', 'KubeletReady'],
    ]);
  });

  test('says why it is not ready and mends soon; an unchanged status is not written', async () => {
    const network = new Network();
    network.trouble = 'the bridge is not there';
    const node = await NodeUnderTest.start({ network });
    const ready = async () =>
      (await node.client.get<Node>(Nodes, { name: 'n1' })).status?.conditions?.find((c) => c.type === 'Ready');
    expect(await ready()).toMatchObject({
      status: 'False',
      message: 'container runtime network not ready: the bridge is not there',
    });
    network.trouble = undefined;
    await node.clock.advance(300);
    expect(await ready()).toMatchObject({ status: 'True' });
    const writes = () => node.client.log.filter((line) => line.startsWith('patch nodes')).length;
    const before = writes();
    await node.clock.advance(299_000);
    expect(writes()).toBe(before);
    await node.clock.advance(12_000);
    expect(writes()).toBe(before + 1);
  });

  test('shows the images it has, named as they are', async () => {
    class Images extends SimulatedImages {
      override async list() {
        return [await this.find('docker.io/library/redis:7')];
      }
    }
    const node = await NodeUnderTest.start({ images: new Images() });
    const { status } = await node.client.get<Node>(Nodes, { name: 'n1' });
    expect(status?.images).toEqual([{ names: ['docker.io/library/redis:7'], sizeBytes: 0 }]);
  });

  test('renews its lease every ten seconds and makes it again when it is lost', async () => {
    const node = await NodeUnderTest.start();
    const key = { namespace: 'kube-node-lease', name: 'n1' };
    const renewed = async () => Date.parse((await node.client.get(Leases, key)).spec!.renewTime!);
    const first = await renewed();
    expect(await node.client.get(Leases, key)).toMatchObject({
      metadata: { ownerReferences: [{ kind: 'Node', name: 'n1' }] },
      spec: { holderIdentity: 'n1', leaseDurationSeconds: 40 },
    });
    await node.clock.advance(30_000);
    expect((await renewed()) - first).toBe(30_000);
    await node.client.delete(Leases, key, { gracePeriodSeconds: 0 });
    await node.clock.advance(10_000);
    expect((await renewed()) - first).toBe(40_000);
  });

  test('an outage is told once, however long it lasts, and so is its end', async () => {
    const clock = new VirtualClock();
    const told: string[] = [];
    const tell = (level: string) => (_: unknown, message?: string) => void told.push(`${level}: ${message}`);
    const logger = {
      debug: () => {},
      info: tell('info'),
      warn: tell('warn'),
      error: tell('error'),
      child: () => logger,
    };
    let cutOff = false;
    const memory = new MemoryClient(clock);
    const client = interpose(memory, async (call, next) => {
      if (cutOff) throw serviceUnavailable('no route to host');
      return next(call);
    });
    const stop = keepLease({ client, clock, logger, nodeName: 'n1', nodeUid: () => undefined });
    await clock.advance(20_000);
    expect(told).toEqual([]);
    cutOff = true;
    await clock.advance(120_000);
    expect(told).toEqual(['warn: node lease not renewed']);
    cutOff = false;
    await clock.advance(7_000);
    expect(told).toEqual(['warn: node lease not renewed', 'info: node lease renewed again']);
    stop();
  });

  test('a second start keeps the node object and its uid', async () => {
    const node = await NodeUnderTest.start();
    const { uid } = (await node.client.get(Nodes, { name: 'n1' })).metadata;
    await node.stop();
    await node.boot();
    expect((await node.client.get(Nodes, { name: 'n1' })).metadata.uid).toBe(uid);
  });
});
