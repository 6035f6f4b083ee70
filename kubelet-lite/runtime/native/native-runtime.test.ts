import { text } from 'node:stream/consumers';
import { type TestPods, testPods, whyNoPods } from './test-pods.js';

const reason = whyNoPods();
const describePods = reason ? describe.skip : describe;

describePods(`native runtime${reason ? ` (skipped: ${reason})` : ''}`, () => {
  let pods: TestPods;
  beforeAll(async () => {
    pods = await testPods();
  }, 60_000);
  afterAll(async () => {
    await pods?.close();
  }, 30_000);

  test('a container prints, exits with its code, and is logged in CRI format', async () => {
    const { runtime } = pods;
    const status = await runtime.runSandbox(pods.sandbox('first'));
    expect(status).toMatchObject({ id: 'first', state: 'ready', annotations: { uid: 'first' }, containers: [] });
    const started = await runtime.startContainer(
      'first',
      pods.container('first-c', ['sh', '-c', 'echo out; echo err >&2; printf tail; exit 3']),
    );
    expect(started).toMatchObject({ id: 'first-c', state: 'running' });
    expect(await pods.exit('first-c')).toMatchObject({ state: 'exited', exitCode: 3, signal: 0, oomKilled: false });
    const lines = pods.log('first-c').split('\n').filter(Boolean);
    const time = '\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d\\.\\d{9}Z';
    expect(lines).toHaveLength(3);
    expect(lines).toEqual(
      expect.arrayContaining([
        expect.stringMatching(new RegExp(`^${time} stdout F out$`)),
        expect.stringMatching(new RegExp(`^${time} stderr F err$`)),
        expect.stringMatching(new RegExp(`^${time} stdout P tail$`)),
      ]),
    );
    await runtime.removeSandbox('first');
    expect((await runtime.list()).map((s) => s.id)).not.toContain('first');
  });

  test('exec with streams', async () => {
    const { runtime } = pods;
    await runtime.runSandbox(pods.sandbox('second'));
    await runtime.startContainer('second', pods.container('second-c', ['sleep', '1000']));
    const result = await runtime.execSync('second-c', {
      command: ['sh', '-c', 'hostname; exit 4'],
      timeoutMs: 5000,
      maxOutput: 100,
    });
    expect(result).toEqual({ exitCode: 4, stdout: 'second\n', stderr: '' });
    const streams = await runtime.exec('second-c', {
      command: ['cat'],
      stdin: true,
      stdout: true,
      stderr: true,
      tty: false,
    });
    streams.stdin!.end('hello');
    expect(await text(streams.stdout!)).toBe('hello');
    expect(await streams.exit).toBe(0);
  });
});
