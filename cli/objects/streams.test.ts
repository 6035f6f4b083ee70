import { PassThrough, Readable, Writable } from 'node:stream';
import type { ExecOptions, LogOptions, NodeStreams } from '@trimtab/client';
import { Deployments, notFound, type Pod, Pods } from '@trimtab/machinery';
import { execInPod } from './exec.js';
import { showLogs } from './logs.js';
import { Terminal, type TestCluster, testCluster } from './testing.js';

/** A node that says what it was asked: its logs are their options, its shell repeats its input. */
class EchoNode implements NodeStreams {
  readonly sizes: string[] = [];
  onResize: () => void = () => {};

  async logs(pod: { readonly name: string }, options: LogOptions, signal: AbortSignal): Promise<Readable> {
    if (options.previous) throw notFound({ group: '', resource: 'previous terminated containers' }, options.container);
    const { container, tailLines, timestamps } = options;
    const line = `${JSON.stringify({ pod: pod.name, container, tailLines, timestamps })}\n`;
    const log = new PassThrough();
    log.write(line);
    if (!options.follow) log.end();
    else signal.addEventListener('abort', () => log.destroy());
    return log;
  }

  async exec(_pod: object, { command, tty, container }: ExecOptions) {
    const stdout = new PassThrough();
    const stderr = new PassThrough();
    const chunks: Buffer[] = [];
    let end: (code: number) => void = () => {};
    const exit = new Promise<number>((resolve) => {
      end = (code) => {
        stdout.end();
        stderr.end();
        resolve(code);
      };
    });
    const stdin = new Writable({
      write: (chunk: Buffer, _encoding, done) => {
        chunks.push(chunk);
        if (tty && chunk.includes('\r')) end(0);
        done();
      },
      final: (done) => {
        stdout.write(`read ${Buffer.concat(chunks).toString()}`);
        end(0);
        done();
      },
    });
    stdout.write(tty ? 'tty ' : `${container}: ${command.join(' ')}\n`);
    if (!tty) stderr.write('to stderr\n');
    if (command[0] === 'fail') end(Number(command[1]));
    const resize = (columns: number, rows: number) => {
      this.sizes.push(`${columns}x${rows}`);
      this.onResize();
    };
    return { stdin, stdout, stderr, exit, resize, close: () => end(137) };
  }

  attach(): never {
    throw new Error('not asked for here');
  }

  portForward(): never {
    throw new Error('not asked for here');
  }
}

let cluster: TestCluster;
let namespace: string;
let node: EchoNode;
beforeAll(async () => {
  cluster = await testCluster((name) => (name === 'one' ? node : undefined));
});
/** Ends what would go on for ever, also when a test fails. */
let end: AbortController;
beforeEach(async () => {
  end = new AbortController();
  node = new EchoNode();
  namespace = await cluster.newNamespace();
});
afterEach(() => end.abort());
afterAll(() => cluster.close());

async function running(name: string, containers: readonly string[], ready = true): Promise<void> {
  const made = await cluster.client.create(Pods, {
    metadata: { name, namespace, labels: { app: 'web' } },
    spec: { nodeName: 'one', containers: containers.map((each) => ({ name: each, image: 'x' })) },
  } as Pod);
  const conditions = [{ type: 'Ready', status: ready ? 'True' : 'False' }];
  await cluster.client.update(Pods, { ...made, status: { phase: 'Running', conditions } } as Pod, {
    subresource: 'status',
  });
}

describe('logs', () => {
  test('options reach the node; the container is the first unless named', async () => {
    await running('p', ['a', 'b']);
    const first = await cluster.run((session) => showLogs(session, 'p', { tail: 0, timestamps: true }));
    expect(JSON.parse(first.out)).toEqual({ pod: 'p', container: 'a', tailLines: 0, timestamps: true });
    expect(first.err).toBe('Defaulted container "a" out of: a, b\n');
    const named = await cluster.run((session) => showLogs(session, 'pod/p', { container: 'b' }));
    expect([JSON.parse(named.out), named.err]).toEqual([{ pod: 'p', container: 'b' }, '']);
    const wrong = await cluster.run((session) => showLogs(session, 'p', { container: 'c' }));
    expect(wrong.err).toBe('error: container c is not valid for pod p; it has: a, b\n');
    const before = await cluster.run((session) => showLogs(session, 'p', { container: 'a', previous: true }));
    expect(before).toMatchObject({ code: 1, out: '', err: expect.stringMatching(/^Error from server \(NotFound\): /) });
    const nobody = await cluster.run((session) => showLogs(session, 'q', {}));
    expect(nobody.err).toBe('Error from server (NotFound): pods "q" not found\n');
  });

  test('followed until one has seen enough', async () => {
    await running('p', ['a']);
    const seen = await cluster.run((session) => showLogs(session, 'p', { follow: true }, end.signal), {
      output: () => end.abort(),
    });
    expect(seen).toEqual({ code: 0, out: '{"pod":"p","container":"a"}\n', err: '' });
  });

  test('of a deployment: of a pod that is ready', async () => {
    await running('early', ['a'], false);
    await running('late', ['a']);
    const labels = { app: 'web' };
    const template = { metadata: { labels }, spec: { containers: [{ name: 'a', image: 'x' }] } };
    const spec = { selector: { matchLabels: labels }, template };
    await cluster.client.create(Deployments, { metadata: { name: 'web', namespace }, spec });
    const seen = await cluster.run((session) => showLogs(session, 'deploy/web', {}));
    expect([JSON.parse(seen.out).pod, seen.err]).toEqual(['late', 'Found 2 pods, using pod/late\n']);
  });
});

describe('exec', () => {
  test('output, errors and exit code are the command’s', async () => {
    await running('p', ['a']);
    const failed = await cluster.run((session) => execInPod(session, 'p', ['fail', '3'], {}));
    expect(failed).toEqual({
      code: 3,
      out: 'a: fail 3\n',
      err: expect.stringMatching(/^to stderr\ncommand terminated with exit code 3\n$/),
    });
  });

  test('input is passed on to its end', async () => {
    await running('p', ['a']);
    const text = 'x'.repeat(100_000);
    const done = await cluster.run((session) => execInPod(session, 'p', ['cat'], { stdin: true, tty: true }), {
      input: Readable.from([Buffer.from(text)]),
    });
    expect(done.out).toBe(`a: cat\nread ${text}`);
    expect(done.err).toBe('Unable to use a TTY - input is not a terminal\nto stderr\n');
    expect(done.code).toBe(0);
  });

  test('a terminal is raw meanwhile, tells its size, and is given back', async () => {
    await running('p', ['a']);
    const input = new Terminal();
    const resized = new Promise<void>((resolve) => {
      node.onResize = () => {
        if (node.sizes.length === 2) resolve();
      };
    });
    const done = cluster.run(
      (session) => {
        const terminal = Object.assign(session.io.output, { columns: 80, rows: 24 });
        void resized.then(() => input.write('\r'));
        const code = execInPod(session, 'p', ['sh'], { stdin: true, tty: true });
        const grow = () => {
          if (node.sizes.length === 0) return void setImmediate(grow);
          Object.assign(terminal, { columns: 100 });
          terminal.emit('resize');
        };
        grow();
        return code;
      },
      { input },
    );
    expect(await done).toEqual({ code: 0, out: 'tty ', err: '' });
    expect(node.sizes).toEqual(['80x24', '100x24']);
    expect(input.modes).toEqual([true, false]);
  });
});
