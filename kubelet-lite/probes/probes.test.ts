import { createServer, type Server } from 'node:http';
import { createServer as createHttp2 } from 'node:http2';
import { type AddressInfo, connect, createServer as createTcp, type Server as TcpServer } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Container, Probe } from '@trimtab/machinery';
import { systemClock, VirtualClock } from '@trimtab/machinery';
import { type ExecSyncConfig, RuntimeError } from '../runtime/runtime.js';
import { SimulatedProber } from '../simulated/simulated-node.js';
import { SimulatedRuntime } from '../simulated/simulated-runtime.js';
import { condition, NodeUnderTest } from '../testing/node-under-test.js';
import { NodeProber } from './node-prober.js';
import type { ProbeOutcome, ProbeTarget } from './prober.js';

/** Answers each probe from a table by action, and counts. */
class ScriptedProber extends SimulatedProber {
  readonly answers = new Map<string, ProbeOutcome['result']>();
  readonly asked: string[] = [];
  override async probe(probe: Probe, _target: ProbeTarget): Promise<ProbeOutcome> {
    const name = probe.exec?.command?.[0] ?? '';
    this.asked.push(name);
    return { result: this.answers.get(name) ?? 'success', output: `${name} says no` };
  }
}

const exec = (name: string, rest: Partial<Probe> = {}): Probe => ({ exec: { command: [name] }, ...rest });

describe('probes of a running container', () => {
  test('readiness decides Ready at once, in both directions', async () => {
    const prober = new ScriptedProber();
    prober.answers.set('ready', 'failure');
    const node = await NodeUnderTest.start({ prober });
    const readinessProbe = exec('ready', { periodSeconds: 2, failureThreshold: 2 });
    await node.run({ name: 'web', containers: [{ name: 'main', image: 'web:1', readinessProbe }] });
    let status = await node.status('web');
    expect(status.phase).toBe('Running');
    expect(status.conditions?.find((c) => c.type === 'Ready')).toMatchObject({
      status: 'False',
      reason: 'ContainersNotReady',
      message: 'containers with unready status: [main]',
    });
    prober.answers.set('ready', 'success');
    await node.clock.advance(2_000);
    expect(condition(await node.status('web'), 'Ready')).toBe('True');
    prober.answers.set('ready', 'failure');
    await node.clock.advance(2_000);
    expect(condition(await node.status('web'), 'Ready')).toBe('True');
    await node.clock.advance(2_000);
    status = await node.status('web');
    expect(condition(status, 'Ready')).toBe('False');
    expect(status.containerStatuses?.[0]?.restartCount).toBe(0);
    expect(await node.events('web')).toContain('Unhealthy: Readiness probe failed: ready says no (x3)');
  });

  test('startup gates the others; liveness kills and the container starts anew', async () => {
    const prober = new ScriptedProber();
    prober.answers.set('startup', 'failure');
    const node = await NodeUnderTest.start({ prober });
    await node.run({
      name: 'web',
      containers: [
        {
          name: 'main',
          image: 'web:1',
          startupProbe: exec('startup', { periodSeconds: 1, failureThreshold: 30 }),
          livenessProbe: exec('live', { periodSeconds: 5 }),
          readinessProbe: exec('ready', { initialDelaySeconds: 1 }),
        },
      ],
    });
    await node.clock.advance(5_000);
    expect(new Set(prober.asked)).toEqual(new Set(['startup']));
    expect((await node.status('web')).containerStatuses?.[0]).toMatchObject({ started: false, ready: false });
    prober.answers.set('startup', 'success');
    await node.clock.advance(1_050);
    expect((await node.status('web')).containerStatuses?.[0]).toMatchObject({ started: true, ready: true });
    const startups = prober.asked.filter((name) => name === 'startup').length;
    prober.answers.set('live', 'failure');
    await node.clock.advance(15_000);
    expect(prober.asked.filter((name) => name === 'startup').length).toBe(startups + 1);
    const [container] = (await node.status('web')).containerStatuses!;
    expect(container).toMatchObject({ restartCount: 1, lastState: { terminated: { exitCode: 143 } } });
    expect(await node.events('web')).toEqual(
      expect.arrayContaining([
        'Unhealthy: Liveness probe failed: live says no (x4)',
        'Killing: Container main failed liveness probe, will be restarted',
      ]),
    );
  });

  test('an attempt that could not be made counts as nothing', async () => {
    const prober = new ScriptedProber();
    prober.answers.set('live', 'unknown');
    const node = await NodeUnderTest.start({ prober });
    const livenessProbe = exec('live', { periodSeconds: 1, failureThreshold: 1 });
    await node.run({ name: 'web', containers: [{ name: 'main', image: 'web:1', livenessProbe }] });
    await node.clock.advance(30_000);
    expect((await node.status('web')).containerStatuses?.[0]?.restartCount).toBe(0);
  });

  test('thresholds, periods and delays are kept to the second', async () => {
    const prober = new ScriptedProber();
    prober.answers.set('ready', 'failure');
    const node = await NodeUnderTest.start({ prober });
    const readinessProbe = exec('ready', { initialDelaySeconds: 5, periodSeconds: 3, successThreshold: 2 });
    const livenessProbe = exec('live', { periodSeconds: 4, failureThreshold: 3 });
    const containers = [{ name: 'main', image: 'web:1', readinessProbe, livenessProbe }];
    await node.run({ name: 'web', containers });
    const times = (name: string) => prober.asked.filter((asked) => asked === name).length;
    await node.clock.advance(4_900);
    expect([times('ready'), times('live')]).toEqual([0, 2]);
    await node.clock.advance(100);
    expect(times('ready')).toBe(1);
    prober.answers.set('ready', 'success');
    await node.clock.advance(3_000);
    expect(condition(await node.status('web'), 'Ready')).toBe('False');
    await node.clock.advance(3_000);
    expect(condition(await node.status('web'), 'Ready')).toBe('True');
    prober.answers.set('live', 'failure');
    await node.clock.advance(8_900);
    expect((await node.status('web')).containerStatuses?.[0]?.restartCount).toBe(0);
    await node.clock.advance(200);
    expect((await node.status('web')).containerStatuses?.[0]?.restartCount).toBe(1);
  });

  test('a probe has a grace of its own, which a deletion does not share', async () => {
    const prober = new ScriptedProber();
    prober.answers.set('live', 'failure');
    const signals: string[] = [];
    const under = new NodeUnderTest({ prober });
    class Deaf extends SimulatedRuntime {
      override async signal(id: string, signal: string): Promise<void> {
        signals.push(`${under.clock.now()} ${signal}`);
        if (signal === 'SIGKILL') this.exit(id, 137);
      }
    }
    Object.assign(under.options, { runtime: new Deaf(under.clock) });
    await under.boot();
    const livenessProbe = exec('live', { periodSeconds: 60, failureThreshold: 1, terminationGracePeriodSeconds: 7 });
    const containers = [{ name: 'main', image: 'web:1', livenessProbe }];
    const start = under.clock.now();
    await under.run({ name: 'web', terminationGracePeriodSeconds: 50, containers });
    await under.clock.advance(7_100);
    expect(signals.slice(0, 2).map((line) => line.split(' ')[1])).toEqual(['SIGTERM', 'SIGKILL']);
    expect(Number(signals[1]!.split(' ')[0]) - start).toBeLessThan(7_100);
  });

  test('a warning is a success that is told', async () => {
    const prober = new ScriptedProber();
    prober.answers.set('live', 'warning');
    const node = await NodeUnderTest.start({ prober });
    const livenessProbe = exec('live', { periodSeconds: 1, failureThreshold: 1 });
    await node.run({ name: 'web', containers: [{ name: 'main', image: 'web:1', livenessProbe }] });
    await node.clock.advance(1_500);
    expect((await node.status('web')).containerStatuses?.[0]?.restartCount).toBe(0);
    expect(await node.events('web')).toContain('ProbeWarning: Liveness probe warning: live says no (x2)');
  });

  test('after a kubelet restart the first probes are spread over a period', async () => {
    const prober = new ScriptedProber();
    const node = await NodeUnderTest.start({ prober });
    const livenessProbe = exec('live', { periodSeconds: 10 });
    await node.run({ name: 'web', containers: [{ name: 'main', image: 'web:1', livenessProbe }] });
    await node.clock.advance(60_000);
    await node.stop();
    prober.asked.length = 0;
    await node.boot();
    // The second number of the seed is small.
    await node.clock.advance(20);
    expect(prober.asked).toEqual([]);
    await node.clock.advance(10_000);
    expect(prober.asked.length).toBeGreaterThan(0);
  });

  test('postStart holds the container back, and its failure kills it', async () => {
    let answer: (outcome: ProbeOutcome) => void = () => {};
    class Prober extends SimulatedProber {
      override hook(): Promise<ProbeOutcome> {
        return new Promise((resolve) => (answer = resolve));
      }
    }
    const node = await NodeUnderTest.start({ prober: new Prober() });
    const lifecycle = { postStart: { exec: { command: ['warm-up'] } } };
    await node.run({ name: 'web', containers: [{ name: 'main', image: 'web:1', lifecycle }] });
    expect((await node.status('web')).phase).toBe('Pending');
    answer({ result: 'failure', output: 'cold' });
    await Promise.resolve();
    const uid = (await node.pod('web')).metadata.uid ?? '';
    const state = node.node?.pods.worker(uid)?.container('main')?.context.state;
    expect(state?.waiting).toEqual({
      reason: 'PostStartHookError',
      message: `Exec lifecycle hook ([warm-up]) for Container "main" in Pod "web_default(${uid})" failed - message: "cold"`,
    });
    await node.clock.advance(30);
    expect((await node.status('web')).containerStatuses?.[0]).toMatchObject({ restartCount: 1 });
    answer({ result: 'success', output: '' });
    await node.clock.advance(30);
    expect((await node.status('web')).phase).toBe('Running');
    expect(await node.events('web')).toContain('FailedPostStartHook: PostStartHook failed');
  });
});

test.each(['failure', 'success'] as const)(
  'a late %s of a hook does not count for the next container',
  async (result) => {
    let first: ((outcome: ProbeOutcome) => void) | undefined;
    class Prober extends SimulatedProber {
      override hook(): Promise<ProbeOutcome> {
        return new Promise((resolve) => {
          first ??= resolve;
        });
      }
    }
    const node = await NodeUnderTest.start({ prober: new Prober() });
    const lifecycle = { postStart: { sleep: { seconds: 5 } } };
    await node.run({ name: 'web', containers: [{ name: 'main', image: 'web:1', lifecycle }] });
    await node.exit('web', 'main', 1);
    await node.clock.advance(50);
    first?.({ result, output: '' });
    await node.clock.advance(200);
    expect((await node.status('web')).containerStatuses?.[0]?.state).not.toHaveProperty('running');
    expect((await node.events('web')).filter((event) => event.includes('PostStart'))).toEqual([]);
  },
);

describe('what probes do', () => {
  const servers: (Server | TcpServer)[] = [];
  const listen = async (server: Server | TcpServer): Promise<number> => {
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return (server.address() as AddressInfo).port;
  };
  afterAll(() => {
    for (const server of servers) server.close();
  });
  class LocalRuntime extends SimulatedRuntime {
    override async dial(_sandbox: string, host: string, port: number): Promise<Duplex> {
      return new Promise((resolve, reject) => {
        const socket = connect({ host, port }, () => resolve(socket));
        socket.once('error', reject);
      });
    }
  }
  const prober = new NodeProber(new LocalRuntime(systemClock), systemClock);
  /** These go over real sockets. */
  const patient = { timeoutSeconds: 60 };
  const target = (container: Partial<Container> = {}): ProbeTarget => ({
    sandboxId: 's',
    containerId: 'c',
    podIP: '127.0.0.1',
    container: { name: 'main', ...container },
  });

  test('httpGet sends its headers to a named port; 200 to 399 is success', async () => {
    const seen: string[] = [];
    const port = await listen(
      createServer((request, response) => {
        seen.push(`${request.url} ${request.headers['user-agent']} ${request.headers['x-key']}`);
        response.statusCode = Number(request.url!.slice(1)) || 200;
        response.end('body');
      }),
    );
    const named = target({ ports: [{ name: 'web', containerPort: port }] });
    const get = (path: string) =>
      prober.probe({ ...patient, httpGet: { port: 'web', path, httpHeaders: [{ name: 'X-Key', value: 'v' }] } }, named);
    expect(await get('/200')).toEqual({ result: 'success', output: 'body' });
    expect((await get('/302')).result).toBe('warning');
    expect(await get('/503')).toEqual({ result: 'failure', output: 'HTTP probe failed with statuscode: 503' });
    expect(seen[0]).toMatch(/^\/200 kube-probe\/\S+ v$/);
    expect((await prober.probe({ ...patient, httpGet: { port: 'nope' } }, named)).output).toBe(
      'couldn\'t find a port named "nope"',
    );
  });

  test('httpGet follows redirects within the host; one that leads away is a warning', async () => {
    const port = await listen(
      createServer((request, response) => {
        const to = { '/here': '/there', '/away': 'http://elsewhere.example/', '/round': '/round' }[request.url!];
        response.writeHead(to ? 302 : request.url === '/there' ? 200 : 404, to ? { location: to } : {}).end('body');
      }),
    );
    const get = (path: string) => prober.probe({ ...patient, httpGet: { port, path } }, target());
    expect(await get('/here')).toEqual({ result: 'success', output: 'body' });
    expect(await get('/away')).toEqual({
      result: 'warning',
      output: 'Probe terminated redirects, Response body: body',
    });
    expect(await get('/round')).toEqual({
      result: 'failure',
      output: `Get "/round": stopped after 10 redirects`,
    });
  });

  test('hooks are commands, requests and sleeps; an answer of any status is an answer', async () => {
    const port = await listen(createServer((_, response) => response.writeHead(500).end()));
    expect((await prober.hook({ httpGet: { port } }, target(), 60_000)).result).toBe('success');
    expect(await prober.hook({ httpGet: { port: 1 } }, target(), 60_000)).toEqual({
      result: 'failure',
      output: 'Get "http://127.0.0.1:1/": dial tcp 127.0.0.1:1: connect: connection refused',
    });
    expect((await prober.hook({ exec: { command: ['true'] } }, target(), 60_000)).result).toBe('success');
    const clock = new VirtualClock();
    const sleeping = new NodeProber(new LocalRuntime(clock), clock);
    const done: string[] = [];
    const hook = (seconds: number) =>
      sleeping.hook({ sleep: { seconds } }, target(), 3_000).then(({ result }) => done.push(`${seconds} ${result}`));
    const all = [hook(0), hook(2), hook(5)];
    await clock.advance(2_000);
    expect(done).toEqual(['0 success', '2 success']);
    await clock.advance(1_000);
    await Promise.all(all);
    expect(done[2]).toBe('5 failure');
  });

  test('tcpSocket connects; a closed port and a silent server are failures', async () => {
    const port = await listen(createTcp(() => {}));
    expect((await prober.probe({ ...patient, tcpSocket: { port } }, target())).result).toBe('success');
    expect((await prober.probe({ ...patient, tcpSocket: { port: 1 } }, target())).output).toBe(
      'dial tcp 127.0.0.1:1: connect: connection refused',
    );
    const clock = new VirtualClock();
    const slow = new NodeProber(new LocalRuntime(clock), clock).probe(
      { httpGet: { port }, timeoutSeconds: 3 },
      target(),
    );
    await clock.advance(3_000);
    expect(await slow).toEqual({
      result: 'failure',
      output: `Get "http://127.0.0.1:${port}/": context deadline exceeded (Client.Timeout exceeded while awaiting headers)`,
    });
  });

  test('grpc asks the health service by name', async () => {
    const server = createHttp2();
    server.on('stream', (stream, headers) => {
      stream.on('data', (body: Buffer) => {
        const sick = body.includes('sick');
        stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
        stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
        expect(headers[':path']).toBe('/grpc.health.v1.Health/Check');
        stream.end(Buffer.from([0, 0, 0, 0, 2, 8, sick ? 2 : 1]));
      });
    });
    const port = await listen(server as unknown as Server);
    expect((await prober.probe({ ...patient, grpc: { port } }, target())).result).toBe('success');
    expect(await prober.probe({ ...patient, grpc: { port, service: 'sick' } }, target())).toEqual({
      result: 'failure',
      output: 'service unhealthy (responded with "NOT_SERVING")',
    });
  });

  test('exec: an exit code, a late answer, a missing command and a deaf runtime', async () => {
    const asked: unknown[] = [];
    const answer = async (run: () => { exitCode: number; stdout: string; stderr: string }): Promise<ProbeOutcome> => {
      class Runtime extends SimulatedRuntime {
        override async execSync(_id: string, config: ExecSyncConfig) {
          asked.push(config);
          return run();
        }
      }
      const env = [{ name: 'PORT', value: '80' }];
      const probe = { exec: { command: ['check', '$(PORT)'] }, timeoutSeconds: 2 };
      return new NodeProber(new Runtime(systemClock), systemClock).probe(probe, target({ env }));
    };
    const fail = (stage: string, errno: string) => () => {
      throw new RuntimeError(stage, errno, 'check');
    };
    expect((await answer(() => ({ exitCode: 0, stdout: 'ok', stderr: '' }))).result).toBe('success');
    expect(await answer(() => ({ exitCode: 2, stdout: 'a', stderr: 'b' }))).toEqual({
      result: 'failure',
      output: 'ab',
    });
    expect((await answer(fail('exec', 'Timeout'))).output).toBe('command timed out: "check 80" timed out after 2s');
    expect((await answer(fail('exec', 'ENOENT'))).result).toBe('failure');
    expect((await answer(fail('socket', 'EPIPE'))).result).toBe('unknown');
    expect(asked[0]).toMatchObject({ command: ['check', '80'], timeoutMs: 2_000 });
  });
});
