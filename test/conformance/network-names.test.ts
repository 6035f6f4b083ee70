import { eventually } from '../e2e/cluster.js';
import { useNetCluster } from './net-cluster.js';
import { IDLE } from './net-programs.js';
import { describeReal } from './real-cluster.js';

/** Conformance tests of class N about names and plain connections, under their own names. See `net-cluster`. */
describeReal('names and connections', () => {
  const n = useNetCluster();
  const { kubectl, apply, pod, server, service, ready, inside, fetch, udp, resolve, addressOf, ipOf } = n;

  describe('[sig-network] DNS', () => {
    const client = async (more: object = {}) => {
      await apply(pod('client', IDLE, {}, more));
      await ready('client');
    };

    test('should provide DNS for the cluster [Conformance]', async () => {
      await client();
      for (const name of ['kubernetes.default', 'kubernetes.default.svc', 'kubernetes.default.svc.cluster.local'])
        expect(await resolve('client', 'any', name)).toEqual(['10.96.0.1']);
      expect(await resolve('client', 'TCP', 'kubernetes.default.svc.cluster.local')).toEqual(['10.96.0.1']);
    });

    test('should provide /etc/hosts entries for the cluster [Conformance]', async () => {
      await client({ hostname: 'dns-querier-1', subdomain: 'dns-test-service' });
      const ip = await ipOf('client');
      const names = ['dns-querier-1', `dns-querier-1.dns-test-service.${n.ns}.svc.cluster.local`];
      for (const name of names) expect(await resolve('client', 'any', name)).toEqual([ip]);
      expect(await inside('client', 'cat', '/etc/hosts')).toContain(`${ip}\t${names[1]}\t${names[0]}`);
    });

    test('should provide DNS for services [Conformance]', async () => {
      await apply(service('headless', { clusterIP: 'None' }), service('regular'), server('one'), pod('client', IDLE));
      await ready('one', 'client');
      const [podIP, clusterIP] = [await ipOf('one'), await addressOf('regular')];
      for (const [name, ip] of [
        ['headless', podIP],
        ['regular', clusterIP],
      ] as const) {
        for (const suffix of ['', `.${n.ns}`, `.${n.ns}.svc`, `.${n.ns}.svc.cluster.local`])
          await eventually(
            () => resolve('client', 'any', name + suffix),
            (found) => JSON.stringify(found) === JSON.stringify([ip]),
          );
        const full = `${name}.${n.ns}.svc.cluster.local`;
        expect(await resolve('client', 'A', full)).toEqual([ip]);
        expect(await resolve('client', 'TCP', full)).toEqual([ip]);
        const [[target, port]] = await resolve('client', 'SRV', `_http._tcp.${full}`);
        expect([target.endsWith(full), port]).toEqual([true, name === 'headless' ? 8080 : 80]);
        expect(await resolve('client', 'A', target)).toEqual([ip]);
      }
      expect(await resolve('client', 'PTR', clusterIP)).toEqual([`regular.${n.ns}.svc.cluster.local`]);
    });

    test('should resolve DNS of partial qualified names for services [LinuxOnly] [Conformance]', async () => {
      await apply(service('dns-test-service'), pod('client', IDLE));
      await ready('client');
      const ip = await addressOf('dns-test-service');
      for (const name of ['dns-test-service', `dns-test-service.${n.ns}`, `dns-test-service.${n.ns}.svc`])
        expect(await resolve('client', 'any', name)).toEqual([ip]);
    });

    const named = async (service: string, hostname: string) => {
      await apply({
        apiVersion: 'v1',
        kind: 'Service',
        metadata: { name: service },
        spec: { clusterIP: 'None', selector: { name: 'client' }, ports: [{ name: 'http', port: 80 }] },
      });
      await client({ hostname, subdomain: service });
      const full = `${hostname}.${service}.${n.ns}.svc.cluster.local`;
      const ip = await ipOf('client');
      await eventually(
        () => resolve('client', 'A', full),
        (found) => JSON.stringify(found) === JSON.stringify([ip]),
      );
      expect(await resolve('client', 'TCP', full)).toEqual([ip]);
      return { full, ip };
    };
    test('should provide DNS for pods for Hostname [Conformance]', async () => {
      const { full, ip } = await named('dns-test-service-2', 'dns-querier-2');
      expect(await resolve('client', 'any', full)).toEqual([ip]);
    });
    test('should provide DNS for pods for Subdomain [Conformance]', async () => {
      const { ip } = await named('dns-test-service-3', 'dns-querier-3');
      expect(await resolve('client', 'A', `dns-test-service-3.${n.ns}.svc.cluster.local`)).toEqual([ip]);
      expect(await inside('client', 'cat', '/etc/hosts')).toContain(`${ip}\tdns-querier-3.dns-test-service-3.${n.ns}`);
    });

    test('should provide DNS for ExternalName services [Conformance]', async () => {
      await client();
      const name = `outside.${n.ns}.svc.cluster.local`;
      const external = (externalName: string) => ({
        apiVersion: 'v1',
        kind: 'Service',
        metadata: { name: 'outside' },
        spec: { type: 'ExternalName', externalName },
      });
      for (const target of ['foo.example.com', 'bar.example.com']) {
        await apply(external(target));
        await eventually(
          () => resolve('client', 'CNAME', name),
          (found) => JSON.stringify(found) === JSON.stringify([target]),
        );
      }
      const spec = { type: 'ClusterIP', externalName: null, ports: [{ name: 'http', port: 80, protocol: 'TCP' }] };
      await kubectl('patch', 'service', 'outside', '--type=merge', '-p', JSON.stringify({ spec }));
      const ip = await addressOf('outside');
      await eventually(
        () => resolve('client', 'A', name),
        (found) => JSON.stringify(found) === JSON.stringify([ip]),
      );
    });

    test('should support configurable pod DNS nameservers [Conformance]', async () => {
      await client({
        dnsPolicy: 'None',
        dnsConfig: { nameservers: ['1.1.1.1'], searches: ['resolv.conf.local'] },
      });
      expect((await inside('client', 'cat', '/etc/resolv.conf')).split('\n').sort()).toEqual([
        'nameserver 1.1.1.1',
        'search resolv.conf.local',
      ]);
    });
  });

  describe('[sig-network] Networking Granular Checks: Pods', () => {
    const netservers = ['netserver-0', 'netserver-1'];
    const setUp = async (hostNetwork: boolean) => {
      await apply(...netservers.map((name) => server(name)), pod('client', IDLE, {}, { hostNetwork }));
      await ready(...netservers, 'client');
    };
    test.each([
      ['intra-pod communication: http [NodeConformance]', false],
      ['node-pod communication: http [LinuxOnly] [NodeConformance]', true],
    ])('should function for %s [Conformance]', async (_, hostNetwork) => {
      await setUp(hostNetwork);
      for (const name of netservers)
        expect(await fetch('client', `http://${await ipOf(name)}:8080/hostname`)).toBe(name);
    });
    test.each([
      ['intra-pod communication: udp [NodeConformance]', false],
      ['node-pod communication: udp [LinuxOnly] [NodeConformance]', true],
    ])('should function for %s [Conformance]', async (_, hostNetwork) => {
      await setUp(hostNetwork);
      for (const name of netservers) expect(await udp('client', await ipOf(name), 8081)).toBe(name);
    });
  });

  test('[sig-network] HostPort validates that there is no conflict between pods with same hostPort but different hostIP and protocol [LinuxOnly] [Conformance]', async () => {
    const hostPort = 54323;
    const holder = (name: string, hostIP: string, protocol = 'TCP') =>
      server(name, {}, { ports: [{ hostPort, hostIP, protocol, containerPort: protocol === 'TCP' ? 8080 : 8081 }] });
    await apply(
      holder('pod1', '127.0.0.1'),
      holder('pod2', n.nodeIP),
      holder('pod3', n.nodeIP, 'UDP'),
      pod('client', IDLE, {}, { hostNetwork: true }),
    );
    await ready('pod1', 'pod2', 'pod3', 'client');
    expect(await fetch('client', `http://127.0.0.1:${hostPort}/hostname`)).toBe('pod1');
    expect(await fetch('client', `http://${n.nodeIP}:${hostPort}/hostname`)).toBe('pod2');
    expect(await udp('client', n.nodeIP, hostPort)).toBe('pod3');
  });
});
