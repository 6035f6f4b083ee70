import type { Endpoints, Pod, Service } from '@trimtab/machinery';
import { eventually } from '../e2e/cluster.js';
import { useNetCluster } from './net-cluster.js';
import { IDLE } from './net-programs.js';
import { describeReal } from './real-cluster.js';

/** Conformance tests of class N about Services, under their own names. See `net-cluster`. */
describeReal('Services', () => {
  const n = useNetCluster();
  const { kubectl, get, apply, pod, server, service, ready, fetch, udp, resolve, answers, addressOf, readinessProbe } =
    n;

  describe('[sig-network] Services', () => {
    const external = { type: 'ExternalName', externalName: 'example.com', selector: null, ports: null };
    const patch = (name: string, spec: object) =>
      kubectl('patch', 'service', name, '--type=merge', '-p', JSON.stringify({ spec }));
    const toCluster = { externalName: null, selector: { app: 'server' }, ports: [{ port: 80, targetPort: 8080 }] };

    test.each(['ClusterIP', 'NodePort'])(
      'should be able to change the type from %s to ExternalName [Conformance]',
      async (type) => {
        await apply(service('s', { type }), pod('client', IDLE));
        await ready('client');
        expect(await addressOf('s')).toMatch(/^10\.96\./);
        await patch('s', {
          type: 'ExternalName',
          externalName: 'elsewhere.example.com',
          clusterIP: null,
          clusterIPs: null,
        });
        const changed = await get<Service>('service', 's');
        expect([changed.spec?.type, changed.spec?.clusterIP ?? '', changed.spec?.ports?.[0]?.nodePort]).toEqual([
          'ExternalName',
          '',
          undefined,
        ]);
        await eventually(
          () => resolve('client', 'CNAME', `s.${n.ns}.svc.cluster.local`),
          (found) => JSON.stringify(found) === '["elsewhere.example.com"]',
        );
      },
    );
    test.each(['ClusterIP', 'NodePort'])(
      'should be able to change the type from ExternalName to %s [Conformance]',
      async (type) => {
        await apply(service('s', external), server('one'), pod('client', IDLE));
        expect((await get<Service>('service', 's')).spec?.clusterIP ?? '').toBe('');
        await ready('one', 'client');
        await patch('s', { type, ...toCluster });
        const { spec } = await get<Service>('service', 's');
        await answers(() => fetch('client', 'http://s/hostname'), 'one');
        await answers(() => fetch('client', `http://${spec?.clusterIP}/hostname`), 'one');
        if (type === 'NodePort')
          await answers(() => fetch('client', `http://${n.nodeIP}:${spec?.ports?.[0]?.nodePort}/hostname`), 'one');
      },
    );

    test('should be able to create a functioning NodePort service [Conformance]', async () => {
      await apply(service('s', { type: 'NodePort' }), server('one'), server('two'), pod('client', IDLE));
      await ready('one', 'two', 'client');
      const { spec } = await get<Service>('service', 's');
      for (const at of ['s', String(spec?.clusterIP), `${n.nodeIP}:${spec?.ports?.[0]?.nodePort}`]) {
        const seen = async () => [...new Set((await fetch('client', `http://${at}/hostname`, 20)).split('\n'))].sort();
        await eventually(seen, (names) => names.join() === 'one,two');
      }
    });

    /** Names of who answered, of twenty connections. */
    const who = async (url: string) => [...new Set((await fetch('client', `${url}/hostname`, 20)).split('\n'))];
    const three = async (spec: object) => {
      const names = ['one', 'two', 'three'];
      await apply(service('s', spec), ...names.map((name) => server(name)), pod('client', IDLE));
      await ready(...names, 'client');
      const { spec: made } = await get<Service>('service', 's');
      const nodePort = made?.ports?.[0]?.nodePort;
      const urls = [`http://${made?.clusterIP}`, ...(nodePort ? [`http://${n.nodeIP}:${nodePort}`] : [])];
      await eventually(
        () => get<Endpoints>('endpoints', 's'),
        ({ subsets }) => subsets?.[0]?.addresses?.length === 3,
      );
      return urls;
    };
    const sticks = (url: string) =>
      eventually(
        () => who(url),
        (names) => names.length === 1 && names[0]!.length < 6,
      );
    const spreads = (url: string) =>
      eventually(
        () => who(url),
        (names) => names.length === 3,
      );

    test.each([
      ['NodePort service', 'NodePort'],
      ['service with type clusterIP', 'ClusterIP'],
    ])('should have session affinity work for %s [LinuxOnly] [Conformance]', async (_, type) => {
      for (const url of await three({ type, sessionAffinity: 'ClientIP' })) {
        const first = await sticks(url);
        for (let n = 0; n < 3; n++) expect(await who(url)).toEqual(first);
      }
    });
    test.each([
      ['NodePort service', 'NodePort'],
      ['service with type clusterIP', 'ClusterIP'],
    ])('should be able to switch session affinity for %s [LinuxOnly] [Conformance]', async (_, type) => {
      const urls = await three({ type, sessionAffinity: 'ClientIP' });
      for (const url of urls) await sticks(url);
      await patch('s', { sessionAffinity: 'None' });
      for (const url of urls) await spreads(url);
      await patch('s', { sessionAffinity: 'ClientIP' });
      for (const url of urls) await sticks(url);
    });

    const endpointsAre = (wanted: Readonly<Record<string, readonly number[]>>) =>
      eventually(
        async () => {
          const { subsets = [] } = await get<Endpoints>('endpoints', 's');
          const { items } = await get<{ items: Pod[] }>('pods');
          const nameOf = (ip: string) => items.find(({ status }) => status?.podIP === ip)?.metadata.name ?? ip;
          const found: Record<string, number[]> = {};
          for (const { addresses = [], ports = [] } of subsets)
            for (const name of addresses.map(({ ip }) => nameOf(ip)))
              found[name] = [...(found[name] ?? []), ...ports.map(({ port }) => port)];
          return JSON.stringify(Object.entries(found).sort());
        },
        (found) => found === JSON.stringify(Object.entries(wanted).sort()),
      );

    test('should serve a basic endpoint from pods [Conformance]', async () => {
      await apply(service('s'), pod('client', IDLE));
      await endpointsAre({});
      await ready('client');
      await apply(server('one'));
      await endpointsAre({ one: [8080] });
      await answers(() => fetch('client', 'http://s/hostname'), 'one');
      await apply(server('two'));
      await endpointsAre({ one: [8080], two: [8080] });
      await kubectl('delete', 'pod', 'one');
      await endpointsAre({ two: [8080] });
      await answers(() => fetch('client', 'http://s/hostname'), 'two');
      await kubectl('delete', 'pod', 'two');
      await endpointsAre({});
      await answers(() => fetch('client', 'http://s/hostname'), 'ECONNREFUSED');
    });

    test('should serve multiport endpoints from pods [Conformance]', async () => {
      const ports = [
        { name: 'portname1', port: 80, targetPort: 'portname1' },
        { name: 'portname2', port: 81, targetPort: 'portname2' },
      ];
      const at = (name: string, port: string, containerPort: number) =>
        server(
          name,
          { app: 'server' },
          {
            env: [{ name: 'PORTS', value: String(containerPort) }],
            ports: [{ name: port, containerPort }],
            readinessProbe: { ...readinessProbe, tcpSocket: { port: containerPort } },
          },
        );
      await apply(service('s', { ports }), pod('client', IDLE));
      await endpointsAre({});
      await apply(at('pod1', 'portname1', 100));
      await endpointsAre({ pod1: [100] });
      await apply(at('pod2', 'portname2', 101));
      await endpointsAre({ pod1: [100], pod2: [101] });
      await ready('client');
      await answers(() => fetch('client', 'http://s:80/hostname'), 'pod1');
      await answers(() => fetch('client', 'http://s:81/hostname'), 'pod2');
      await kubectl('delete', 'pod', 'pod1');
      await endpointsAre({ pod2: [101] });
      await kubectl('delete', 'pod', 'pod2');
      await endpointsAre({});
    });

    test('should serve endpoints on same port and different protocols [Conformance]', async () => {
      const ports = {
        TCP: { name: 'tcp-port', port: 80, targetPort: 8080, protocol: 'TCP' },
        UDP: { name: 'udp-port', port: 80, targetPort: 8081, protocol: 'UDP' },
      };
      await apply(service('s', { ports: [ports.TCP, ports.UDP] }), server('one'), pod('client', IDLE));
      await ready('one', 'client');
      const ip = await addressOf('s');
      const http = () => fetch('client', `http://${ip}/hostname`);
      const datagram = () => udp('client', ip, 80);
      await answers(http, 'one');
      await answers(datagram, 'one');
      await patch('s', { ports: [ports.TCP] });
      await answers(datagram, 'ECONNREFUSED');
      await answers(http, 'one');
      await patch('s', { ports: [ports.UDP] });
      await answers(http, 'ECONNREFUSED');
      await answers(datagram, 'one');
    });
  });
});
