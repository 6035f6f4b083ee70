import { createSocket, type Socket } from 'node:dgram';
import { connect } from 'node:net';
import { Informers } from '@trimtab/client';
import { EndpointSlices, Services, seededRandom, silentLogger, systemClock, VirtualClock } from '@trimtab/machinery';
import * as packet from 'dns-packet';
import { MemoryClient } from '../testing/memory-client.js';
import { service, slice } from '../testing/objects.js';
import { encodeAnswer, MAX_UDP_PAYLOAD, parseQuery, type Query } from './message.js';
import { resolve, type Zone } from './resolve.js';
import { DnsServer } from './server.js';
import { type DnsView, informerView } from './view.js';

const ZONE: Zone = {
  domain: 'cluster.local',
  serial: 1,
  ownsAddress: (ip) => ip.startsWith('10.96.') || ip.startsWith('10.244.'),
};

/** A cluster with a bit of everything. */
async function cluster(): Promise<{ view: DnsView; client: MemoryClient; stop(): void }> {
  const client = new MemoryClient();
  const web = [
    { name: 'http', port: 80 },
    { name: 'dns', port: 53, protocol: 'UDP' },
  ];
  client.put(Services, service('web', '10.96.0.5', { ports: web }));
  const headless = { clusterIP: 'None', clusterIPs: ['None'] };
  client.put(Services, service('db', 'None', headless, 'data'));
  client.put(
    EndpointSlices,
    slice(
      'db',
      [{ ip: '10.244.0.2', hostname: 'db-0' }, '10.244.0.3', { ip: '10.244.0.4', ready: false }],
      [{ name: 'sql', port: 5432 }],
      'data',
    ),
  );
  client.put(Services, service('empty', 'None', headless, 'data'));
  const external = { type: 'ExternalName', clusterIP: '', clusterIPs: [] };
  client.put(Services, service('out', '', { ...external, externalName: 'www.example.com' }));
  client.put(Services, service('in', '', { ...external, externalName: 'web.default.svc.cluster.local' }));
  client.put(Services, service('loop', '', { ...external, externalName: 'loop.default.svc.cluster.local' }));
  const informers = new Informers({
    client: client.asClient,
    clock: new VirtualClock(),
    random: seededRandom(1),
    logger: silentLogger,
    watchList: false,
  });
  const view = informerView(informers.get(Services), informers.get(EndpointSlices));
  informers.start();
  await informers.whenSynced();
  return { view, client, stop: () => informers.stop() };
}

/** Answers in words: `A 10.0.0.1`, `SRV 80 target`, or how it failed. */
function ask(view: DnsView, type: string, name: string): readonly string[] {
  const found = resolve(view, ZONE, type as 'A', name);
  if (found.kind === 'alias') return [`CNAME ${found.target}`, 'forward'];
  if (found.kind !== 'answer') return [found.kind];
  return found.answers.map((record) => {
    if (record.type === 'SRV') return `SRV ${record.data.port} ${record.data.target}`;
    return `${record.type} ${'data' in record ? String(record.data) : ''}`;
  });
}

describe('Kubernetes DNS specification 1.1', () => {
  let world: Awaited<ReturnType<typeof cluster>>;
  beforeAll(async () => {
    world = await cluster();
  });
  afterAll(() => world.stop());

  test.each<[string, string, ...string[]]>([
    // 2.2 version
    ['TXT', 'dns-version.cluster.local', 'TXT 1.1.0'],
    ['A', 'dns-version.cluster.local', 'nodata'],
    // 2.3 Services with a cluster IP
    ['A', 'web.default.svc.cluster.local', 'A 10.96.0.5'],
    ['A', 'WEB.Default.svc.CLUSTER.local', 'A 10.96.0.5'],
    ['AAAA', 'web.default.svc.cluster.local', 'nodata'],
    ['SRV', '_http._tcp.web.default.svc.cluster.local', 'SRV 80 web.default.svc.cluster.local'],
    ['SRV', '_dns._udp.web.default.svc.cluster.local', 'SRV 53 web.default.svc.cluster.local'],
    ['SRV', '_http._udp.web.default.svc.cluster.local', 'nxdomain'],
    ['SRV', '_tcp.web.default.svc.cluster.local', 'nodata'],
    ['A', '_http._tcp.web.default.svc.cluster.local', 'nodata'],
    ['PTR', '5.0.96.10.in-addr.arpa', 'PTR web.default.svc.cluster.local'],
    ['A', '5.0.96.10.in-addr.arpa', 'nodata'],
    // 2.4 headless
    ['A', 'db.data.svc.cluster.local', 'A 10.244.0.2', 'A 10.244.0.3'],
    ['A', 'db-0.db.data.svc.cluster.local', 'A 10.244.0.2'],
    ['A', '10-244-0-3.db.data.svc.cluster.local', 'A 10.244.0.3'],
    ['A', '10-244-0-4.db.data.svc.cluster.local', 'nxdomain'],
    [
      'SRV',
      '_sql._tcp.db.data.svc.cluster.local',
      'SRV 5432 db-0.db.data.svc.cluster.local',
      'SRV 5432 10-244-0-3.db.data.svc.cluster.local',
    ],
    ['PTR', '2.0.244.10.in-addr.arpa', 'PTR db-0.db.data.svc.cluster.local'],
    ['A', 'empty.data.svc.cluster.local', 'nxdomain'],
    // 2.5 external names
    ['CNAME', 'out.default.svc.cluster.local', 'CNAME www.example.com'],
    ['A', 'out.default.svc.cluster.local', 'CNAME www.example.com', 'forward'],
    ['A', 'in.default.svc.cluster.local', 'CNAME web.default.svc.cluster.local', 'A 10.96.0.5'],
    ['AAAA', 'in.default.svc.cluster.local', 'CNAME web.default.svc.cluster.local'],
    // pods, as CoreDNS answers them
    ['A', '10-244-0-9.default.pod.cluster.local', 'A 10.244.0.9'],
    ['A', '10-244-0-999.default.pod.cluster.local', 'nxdomain'],
    ['A', '10-244-0-9.nowhere.pod.cluster.local', 'nxdomain'],
    // what a search path asks on the way, and what is not ours
    ['A', 'nope.default.svc.cluster.local', 'nxdomain'],
    ['A', 'web.default.default.svc.cluster.local', 'nxdomain'],
    ['A', 'example.com.cluster.local', 'nxdomain'],
    ['A', 'default.svc.cluster.local', 'nodata'],
    ['A', 'nowhere.svc.cluster.local', 'nxdomain'],
    ['A', 'svc.cluster.local', 'nodata'],
    ['NS', 'cluster.local', 'NS ns.dns.cluster.local'],
    ['PTR', '77.0.96.10.in-addr.arpa', 'nxdomain'],
    ['PTR', '8.8.8.8.in-addr.arpa', 'forward'],
    ['A', 'example.com', 'forward'],
    ['A', 'notcluster.local', 'forward'],
  ])('%s %s', (type, name, ...answers) => {
    expect(ask(world.view, type, name)).toEqual(answers);
  });

  test('an external name that leads to itself ends', () => {
    expect(ask(world.view, 'A', 'loop.default.svc.cluster.local').length).toBeLessThan(20);
  });

  test('a Service created or changed is answered at once', async () => {
    expect(ask(world.view, 'A', 'later.default.svc.cluster.local')).toEqual(['nxdomain']);
    world.client.put(Services, service('later', '10.96.0.9'));
    expect(ask(world.view, 'A', 'later.default.svc.cluster.local')).toEqual(['A 10.96.0.9']);
    world.client.remove(Services, 'default/later');
    expect(ask(world.view, 'A', 'later.default.svc.cluster.local')).toEqual(['nxdomain']);
  });
});

describe('messages', () => {
  const queryOf = (name: string, udpPayload?: number): Buffer =>
    packet.encode({
      type: 'query',
      id: 7,
      flags: packet.RECURSION_DESIRED,
      questions: [{ type: 'A', name }],
      ...(udpPayload
        ? {
            additionals: [
              {
                type: 'OPT',
                name: '.',
                udpPayloadSize: udpPayload,
                flags: 0,
                options: [],
                extendedRcode: 0,
                ednsVersion: 0,
                flag_do: false,
              },
            ],
          }
        : {}),
    });
  const addresses = (n: number): packet.Answer[] =>
    Array.from({ length: n }, (_, i) => ({
      type: 'A' as const,
      name: 'x.test',
      ttl: 5,
      data: `10.0.${i >> 8}.${i & 255}`,
    }));

  test('what does not fit loses additional records first, then says that it is truncated', () => {
    const query = parseQuery(queryOf('x.test')) as Query;
    const answers = addresses(10);
    const whole = packet.decode(encodeAnswer(query, { answers, additionals: addresses(100) }, 512));
    expect([whole.answers?.length, whole.additionals?.length, whole.flag_tc]).toEqual([10, 0, false]);
    const cut = encodeAnswer(query, { answers: addresses(100) }, 512);
    expect(cut.length).toBeLessThanOrEqual(512);
    expect(packet.decode(cut)).toMatchObject({ flag_tc: true, answers: [], id: 7, flag_aa: true, flag_rd: true });
  });

  test('EDNS0 raises the limit, to a size that is not fragmented', () => {
    expect((parseQuery(queryOf('x.test')) as Query).udpPayload).toBe(512);
    expect((parseQuery(queryOf('x.test', 1000)) as Query).udpPayload).toBe(1000);
    expect((parseQuery(queryOf('x.test', 65000)) as Query).udpPayload).toBe(MAX_UDP_PAYLOAD);
    const answer = packet.decode(encodeAnswer(parseQuery(queryOf('x.test', 1000)) as Query, {}, 512));
    expect(answer.additionals?.[0]).toMatchObject({ type: 'OPT', udpPayloadSize: MAX_UDP_PAYLOAD });
  });

  test('answers and short messages are ignored, garbage and other operations are refused', () => {
    const rcode = (message: Buffer): number | string => {
      const parsed = parseQuery(message);
      if (!parsed) return 'ignored';
      return 'refusal' in parsed ? parsed.refusal.readUInt8(3) & 15 : 'taken';
    };
    const response = queryOf('x.test');
    response.writeUInt8(0x80, 2);
    expect(rcode(response)).toBe('ignored');
    expect(rcode(Buffer.alloc(11))).toBe('ignored');
    expect(rcode(queryOf('x.test').subarray(0, 20))).toBe(1);
    const update = queryOf('x.test');
    update.writeUInt8(5 << 3, 2);
    expect(rcode(update)).toBe(4);
    for (let at = 0; at < 200; at++) {
      const noise = Buffer.from(Array.from({ length: 12 + (at % 40) }, (_, i) => (at * 31 + i * i * 17) & 255));
      noise.writeUInt8(noise.readUInt8(2) & 0x7f, 2);
      expect(() => parseQuery(noise)).not.toThrow();
    }
  });
});

describe('the server', () => {
  let world: Awaited<ReturnType<typeof cluster>>;
  let upstream: Socket;
  let server: DnsServer;
  let lonely: DnsServer;
  let port: number;
  let lonelyPort: number;

  beforeAll(async () => {
    world = await cluster();
    upstream = createSocket('udp4');
    upstream.on('message', (message, from) => {
      const { id, questions } = packet.decode(message);
      const name = questions![0]!.name;
      upstream.send(
        packet.encode({ type: 'response', id, questions, answers: [{ type: 'A', name, ttl: 60, data: '192.0.2.7' }] }),
        from.port,
        from.address,
      );
    });
    await new Promise<void>((done) => upstream.bind(0, '127.0.0.1', done));
    [server, port] = await start([`127.0.0.1:${upstream.address().port}`]);
    [lonely, lonelyPort] = await start([]);
  });
  afterAll(async () => {
    await Promise.all([server.stop(), lonely.stop()]);
    await new Promise<void>((done) => upstream.close(done));
    world.stop();
  });

  const start = async (upstreams: readonly string[]): Promise<[DnsServer, number]> => {
    const dns = new DnsServer({
      view: world.view,
      zone: ZONE,
      address: '127.0.0.1',
      port: 0,
      upstreams,
      clock: systemClock,
      random: seededRandom(2),
      logger: silentLogger,
    });
    return [dns, await dns.start()];
  };

  const query = (name: string, type: packet.RecordType = 'A'): Buffer =>
    packet.encode({ type: 'query', id: 4242, flags: packet.RECURSION_DESIRED, questions: [{ type, name }] });

  const overUdp = (to: number, message: Buffer): Promise<packet.DecodedPacket> =>
    new Promise((done) => {
      const socket = createSocket('udp4');
      socket.on('message', (answer) => {
        socket.close();
        done(packet.decode(answer));
      });
      socket.send(message, to, '127.0.0.1');
    });

  const overTcp = (to: number, messages: readonly Buffer[]): Promise<readonly packet.DecodedPacket[]> =>
    new Promise((done) => {
      const answers: packet.DecodedPacket[] = [];
      let received = Buffer.alloc(0);
      const socket = connect(to, '127.0.0.1', () => {
        const framed = Buffer.concat(messages.flatMap((m) => [Buffer.from([m.length >> 8, m.length & 255]), m]));
        // In two pieces, cut within a message.
        socket.write(framed.subarray(0, 5), () => socket.write(framed.subarray(5)));
      });
      socket.on('data', (chunk) => {
        received = Buffer.concat([received, chunk]);
        while (received.length >= 2 && received.length >= 2 + received.readUInt16BE(0)) {
          answers.push(packet.decode(received.subarray(2, 2 + received.readUInt16BE(0))));
          received = received.subarray(2 + received.readUInt16BE(0));
        }
        if (answers.length === messages.length) {
          socket.destroy();
          done(answers);
        }
      });
    });

  const data = (answer: packet.DecodedPacket): readonly unknown[] =>
    (answer.answers ?? []).map((a) => ('data' in a ? a.data : ''));

  test('answers over UDP and, several on one connection, over TCP', async () => {
    const answer = await overUdp(port, query('web.default.svc.cluster.local'));
    expect(answer).toMatchObject({ id: 4242, flag_aa: true, rcode: 'NOERROR' });
    expect(data(answer)).toEqual(['10.96.0.5']);
    expect(answer.answers?.[0]).toMatchObject({ ttl: 5 });
    const both = await overTcp(port, [query('web.default.svc.cluster.local'), query('nope.default.svc.cluster.local')]);
    expect(both.map((a) => (a as unknown as { rcode: string }).rcode).sort()).toEqual(['NOERROR', 'NXDOMAIN']);
  });

  test('names outside go to the upstream with its answer unchanged, and external names are followed', async () => {
    const outside = await overUdp(port, query('www.example.com'));
    expect(outside).toMatchObject({ id: 4242 });
    expect(data(outside)).toEqual(['192.0.2.7']);
    expect(data(await overUdp(port, query('out.default.svc.cluster.local')))).toEqual(['www.example.com', '192.0.2.7']);
  });

  test('without upstreams, names outside fail at once and names inside do not', async () => {
    expect(await overUdp(lonelyPort, query('www.example.com'))).toMatchObject({ rcode: 'SERVFAIL', answers: [] });
    expect(data(await overUdp(lonelyPort, query('out.default.svc.cluster.local')))).toEqual(['www.example.com']);
    expect(data(await overUdp(lonelyPort, query('web.default.svc.cluster.local')))).toEqual(['10.96.0.5']);
  });

  test('an upstream that cannot be reached, or refuses, is passed over, and with no other the name fails', async () => {
    // The broadcast address refuses to be connected to, and nobody listens on port 9 of this machine's own addresses.
    const [helped, helpedPort] = await start([
      '255.255.255.255',
      '127.0.0.9:9',
      `127.0.0.1:${upstream.address().port}`,
    ]);
    expect(data(await overUdp(helpedPort, query('www.example.com')))).toEqual(['192.0.2.7']);
    const [cut, cutPort] = await start(['255.255.255.255', '127.0.0.9:9']);
    expect(await overUdp(cutPort, query('www.example.com'))).toMatchObject({ rcode: 'SERVFAIL' });
    expect((await overTcp(cutPort, [query('www.example.com')]))[0]).toMatchObject({ rcode: 'SERVFAIL' });
    await Promise.all([helped.stop(), cut.stop()]);
  });

  test('many endpoints: truncated over UDP, whole over TCP, and every client starts elsewhere', async () => {
    world.client.put(Services, service('big', 'None', { clusterIP: 'None', clusterIPs: ['None'] }));
    world.client.put(
      EndpointSlices,
      slice(
        'big',
        Array.from({ length: 60 }, (_, i) => `10.244.1.${i + 1}`),
      ),
    );
    const name = 'big.default.svc.cluster.local';
    expect(await overUdp(port, query(name))).toMatchObject({ flag_tc: true });
    const [whole] = await overTcp(port, [query(name)]);
    expect(whole!.answers).toHaveLength(60);
    const other = query(name);
    other.writeUInt16BE(4243, 0);
    const [rotated] = await overTcp(port, [other]);
    expect(data(rotated!)[0]).not.toBe(data(whole!)[0]);
    expect(new Set(data(rotated!))).toEqual(new Set(data(whole!)));
  });

  test('a port in use is named', async () => {
    const second = new DnsServer({
      view: world.view,
      zone: ZONE,
      address: '127.0.0.1',
      port,
      upstreams: [],
      clock: systemClock,
      random: seededRandom(3),
      logger: silentLogger,
    });
    await expect(second.start()).rejects.toThrow(`127.0.0.1:${port}`);
  });
});
