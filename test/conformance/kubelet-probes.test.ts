import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Container, ContainerStatus, Lifecycle, Pod, Probe } from '@trimtab/machinery';
import { Pods, sleep, systemClock } from '@trimtab/machinery';
import { describeReal, useRealCluster } from './real-cluster.js';

/** Conformance tests of class R about probes and hooks, under their own names, with periods of a second. */

describeReal('real probes', () => {
  const c = useRealCluster();
  const status = (pod: Pod): ContainerStatus | undefined => pod.status?.containerStatuses?.[0];
  const restarts = (pod: Pod): number => status(pod)?.restartCount ?? 0;
  const every: Probe = { periodSeconds: 1, failureThreshold: 1, timeoutSeconds: 60 };
  const start = (script: string, container: Partial<Container>) =>
    c.pod('p', script, container, { restartPolicy: 'Always', terminationGracePeriodSeconds: 0 });
  async function restarted(script: string, livenessProbe: Probe, times = 1): Promise<void> {
    await start(script, { livenessProbe: { ...every, ...livenessProbe } });
    for (let n = 1; n <= times; n++) await c.until(Pods, 'p', (pod) => restarts(pod) >= n);
    expect((await c.event('p', 'Unhealthy')).message).toMatch(/^Liveness probe failed: /);
    expect((await c.event('p', 'Killing')).message).toBe('Container main failed liveness probe, will be restarted');
  }
  async function untouched(script: string, livenessProbe: Probe): Promise<void> {
    const probe = { ...every, ...livenessProbe };
    // Asked from when it has answered for the first time: how soon that is no test can know.
    await start(script, { livenessProbe: probe, startupProbe: { ...probe, failureThreshold: 600 } });
    await c.until(Pods, 'p', (pod) => status(pod)?.started === true);
    await sleep(systemClock, 3_500);
    expect(restarts(await c.client.get(Pods, { namespace: c.ns, name: 'p' }))).toBe(0);
  }

  const cat: Probe = { exec: { command: ['cat', '/tmp/health'] } };
  const http: Probe = { httpGet: { path: '/healthz', port: 8080 } };
  const web = 'mkdir -p /www; echo ok > /www/healthz; httpd -p 8080 -h /www';
  /**
   * HTTP/2 frames of a health service that says this, whatever it is asked: settings, headers, the message, trailers. Said once what is
   * always asked with has come (the preface, its settings and the begin of a request), and heard out until the asker hangs up.
   */
  const grpcServer = (serving: number): string => {
    const frame = (type: number, flags: number, stream: number, payload: Buffer) =>
      Buffer.concat([Buffer.from([0, 0, payload.length, type, flags, 0, 0, 0, stream]), payload]);
    const text = (value: string) => [value.length, ...Buffer.from(value)];
    const answer = Buffer.concat([
      frame(4, 0, 0, Buffer.alloc(0)),
      frame(1, 4, 1, Buffer.from([0x88, 0x5f, ...text('application/grpc')])),
      frame(0, 0, 1, Buffer.from([0, 0, 0, 0, 2, 8, serving])),
      frame(1, 5, 1, Buffer.from([0x40, ...text('grpc-status'), ...text('0')])),
    ]);
    const serve = `head -c 64 > /dev/null; sleep 0.05; echo ${answer.toString('base64')} | base64 -d; cat > /dev/null`;
    return `printf '#!/bin/sh\\n${serve}\\n' > /serve; chmod +x /serve; nc -ll -p 5000 -e /serve & sleep 1000`;
  };

  describe('[sig-node] Probing container', () => {
    test('should be restarted with a exec "cat /tmp/health" liveness probe [NodeConformance] [Conformance]', () =>
      restarted('echo ok > /tmp/health; sleep 1; rm /tmp/health; sleep 600', { ...cat, initialDelaySeconds: 1 }));
    test('should *not* be restarted with a exec "cat /tmp/health" liveness probe [NodeConformance] [Conformance]', () =>
      untouched('echo ok > /tmp/health; sleep 600', cat));
    test('should be restarted with a /healthz http liveness probe [NodeConformance] [Conformance]', () =>
      restarted(`${web}; sleep 1; rm /www/healthz; sleep 600`, { ...http, initialDelaySeconds: 1 }));
    test('should *not* be restarted with a /healthz http liveness probe [NodeConformance] [Conformance]', () =>
      untouched(`${web}; sleep 600`, http));
    test('should *not* be restarted with a tcp:8080 liveness probe [NodeConformance] [Conformance]', () =>
      untouched(`${web}; sleep 600`, { tcpSocket: { port: 8080 } }));
    test('should *not* be restarted with a GRPC liveness probe [NodeConformance] [Conformance]', () =>
      untouched(grpcServer(1), { grpc: { port: 5000 } }));
    test('should be restarted with a GRPC liveness probe [NodeConformance] [Conformance]', () =>
      restarted(grpcServer(2), { grpc: { port: 5000 }, initialDelaySeconds: 1 }));
    test('should have monotonically increasing restart count [NodeConformance] [Conformance]', () =>
      restarted('sleep 600', { exec: { command: ['false'] } }, 3));

    test('with readiness probe should not be ready before initial delay and never restart [NodeConformance] [Conformance]', async () => {
      await start('sleep 600', { readinessProbe: { ...every, exec: { command: ['true'] }, initialDelaySeconds: 2 } });
      const pod = await c.until(Pods, 'p', (one) => status(one)?.ready === true);
      const ready = pod.status?.conditions?.find(({ type }) => type === 'Ready')?.lastTransitionTime;
      const running = status(pod)?.state?.running?.startedAt;
      expect(Date.parse(ready!) - Date.parse(running!)).toBeGreaterThanOrEqual(2_000);
      expect(restarts(pod)).toBe(0);
    });
    test('with readiness probe that fails should never be ready and never restart [NodeConformance] [Conformance]', async () => {
      await start('sleep 600', { readinessProbe: { ...every, exec: { command: ['false'] } } });
      await c.event('p', 'Unhealthy', /^Readiness probe failed: /);
      await sleep(systemClock, 2_500);
      const pod = await c.client.get(Pods, { namespace: c.ns, name: 'p' });
      expect([status(pod)?.ready, restarts(pod)]).toEqual([false, 0]);
    });
  });

  describe('[sig-node] Container Lifecycle Hook when create a pod with lifecycle hook', () => {
    let server: Server;
    const asked: string[] = [];
    let told: () => void = () => {};
    beforeAll(async () => {
      server = createServer((request, response) => {
        asked.push(request.url ?? '');
        response.end('ok');
        told();
      });
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    });
    afterAll(() => void server.close());
    const call = (path: string) => ({
      httpGet: { host: '127.0.0.1', port: (server.address() as AddressInfo).port, path },
    });
    const heard = async (path: string): Promise<void> => {
      while (!asked.includes(path)) await new Promise<void>((resolve) => (told = resolve));
    };
    const hooked = (lifecycle: Lifecycle) =>
      c.pod(
        'p',
        'trap "exit 0" TERM; while :; do sleep 0.05; done',
        { lifecycle, volumeMounts: [{ name: 'seen', mountPath: '/seen' }] },
        {
          volumes: [{ name: 'seen', hostPath: { path: `${c.directory}/seen-${c.ns}`, type: 'DirectoryOrCreate' } }],
        },
      );

    test('should execute poststart exec hook properly [NodeConformance] [Conformance]', async () => {
      await hooked({ postStart: { exec: { command: ['sh', '-c', 'echo poststart > /seen/file'] } } });
      await c.running('p');
      expect((await c.exec('p', ['cat', '/seen/file'])).text).toBe('poststart\n');
    });
    test('should execute prestop exec hook properly [NodeConformance] [Conformance]', async () => {
      await hooked({ preStop: { exec: { command: ['sh', '-c', 'echo prestop > /seen/file'] } } });
      await c.running('p');
      await c.gone(Pods, 'p', 60);
      await hooked({});
      await c.running('p');
      expect((await c.exec('p', ['cat', '/seen/file'])).text).toBe('prestop\n');
    });
    test('should execute poststart http hook properly [NodeConformance] [Conformance]', async () => {
      await hooked({ postStart: call('/echo?msg=poststart') });
      await c.running('p');
      await heard('/echo?msg=poststart');
    });
    test('should execute prestop http hook properly [NodeConformance] [Conformance]', async () => {
      await hooked({ preStop: call('/echo?msg=prestop') });
      await c.running('p');
      await c.gone(Pods, 'p', 60);
      await heard('/echo?msg=prestop');
    });
    test('[sig-node] PreStop should call prestop when killing a pod [Conformance]', async () => {
      await hooked({ preStop: call('/write') });
      await c.running('p');
      await c.gone(Pods, 'p', 60);
      await heard('/write');
    });
    test('a hook that fails is told of, and the container with it is killed', async () => {
      await hooked({ postStart: { exec: { command: ['sh', '-c', 'echo secret >&2; exit 1'] } } });
      expect((await c.event('p', 'FailedPostStartHook')).message).toBe('PostStartHook failed');
    });
  });
});
