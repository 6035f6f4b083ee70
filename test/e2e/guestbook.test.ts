import { join } from 'node:path';
import { Cluster, eventually, guestbookImages, Place, root } from './cluster.js';

/** The guestbook from its chart, used as a person would: posts, reloads, deletes pods, kills processes. */
describe('the guestbook', () => {
  let place: Place;
  let cluster: Cluster;
  let url: string;

  beforeAll(async () => {
    place = await new Place().make();
    await guestbookImages(place);
    cluster = await Cluster.start(place, '--chart', join(root, 'charts', 'guestbook'));
    url = String(
      (
        await eventually(
          async () => cluster.lines.find((line) => line.event === 'installed'),
          (line) => line !== undefined,
        )
      )?.url,
    );
  });
  afterAll(async () => {
    await cluster?.stop();
    await place?.remove();
  });

  const curl = (...args: string[]) => place.run('curl', ['-sS', '--max-time', '60', ...args]);
  const messages = async () => {
    const { stdout } = await curl(`${url}/api/messages`);
    return stdout;
  };
  /** A follower answers, and may be behind; and a frontend that has just ended may still be asked. */
  const saysHello = () => eventually(messages, (text) => text.includes('hello world'));

  test('is healthy: three frontends, a leader and two followers behind three services', async () => {
    const out = await cluster.must('get', 'deployments');
    expect(out).toMatch(/frontend\s+3\/3\s+3\s+3/);
    expect(out).toMatch(/redis-follower\s+2\/2\s+2\s+2/);
    expect(out).toMatch(/redis-leader\s+1\/1\s+1\s+1/);
    expect(await cluster.must('get', 'services')).toMatch(/frontend\s+NodePort/);
  });

  test('keeps a message over a reload and over the deletion of a frontend pod', async () => {
    expect((await curl('-o', '/dev/null', '-w', '%{http_code}', '-d', 'message=hello+world', `${url}/`)).stdout).toBe(
      '303',
    );
    await saysHello();
    const [pod] = (await cluster.must('get', 'pods', '-l', 'app.kubernetes.io/component=frontend', '-o', 'name')).split(
      '\n',
    );
    await cluster.must('delete', pod!, '--wait=false');
    await saysHello();
    await cluster.must('rollout', 'status', 'deployment/frontend', '--timeout=120s');
    await saysHello();
  });

  test('is found at its cluster address and by name from inside', async () => {
    const pod = 'deployment/frontend';
    const get = `fetch('http://frontend.default.svc.cluster.local/').then(async (r) => console.log(await r.text()))`;
    const page = await cluster.must('exec', pod, '--', 'node', '-e', get);
    expect(page).toContain('<title>Guestbook</title>');
    const address = await cluster.must('get', 'service', 'redis-leader', '-o', 'jsonpath={.spec.clusterIP}');
    expect(await cluster.must('exec', pod, '--', 'nslookup', 'redis-leader.default.svc.cluster.local')).toContain(
      address,
    );
  });

  test('after kill -9 of trimtab the pods run on, are adopted, and nothing is lost', async () => {
    const before = await cluster.must(
      'get',
      'pods',
      '-o',
      'custom-columns=U:.metadata.uid,I:.status.podIP,R:.status.containerStatuses[0].restartCount,C:.status.containerStatuses[0].containerID',
    );
    await cluster.kill();
    // Names are answered by trimtab itself; what runs, and the way to it, does not need it.
    expect((await curl(`${url}/livez`)).stdout).toBe('ok');
    cluster = await Cluster.start(place);
    await eventually(
      () => cluster.must('get', 'nodes'),
      (out) => /node-a\s+Ready/.test(out),
    );
    const after = await cluster.must(
      'get',
      'pods',
      '-o',
      'custom-columns=U:.metadata.uid,I:.status.podIP,R:.status.containerStatuses[0].restartCount,C:.status.containerStatuses[0].containerID',
    );
    expect(after).toBe(before);
    await saysHello();
  });

  test('after Ctrl-C everything is gone from the machine, and the next start brings it back with its data', async () => {
    expect(await cluster.stop()).toBe(0);
    expect((await place.run('sh', ['-c', 'ip -o link | wc -l'])).stdout.trim()).toBe('1');
    cluster = await Cluster.start(place);
    await saysHello();
    await cluster.must('rollout', 'status', 'deployment/frontend', '--timeout=120s');
  });
});
