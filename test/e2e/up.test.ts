import { chown, mkdir, readFile, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Cluster, eventually, guestbookImages, Place, run, shellPod, trimtab } from './cluster.js';

/** `trimtab up` at its edges: what it is told, what is already there, who runs it, and how it ends. */

const SIMULATED = ['--no-node', '--simulated-nodes', '1'];
const nobody = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'];
const readable = (await run(nobody[0]!, [...nobody.slice(1), 'test', '-r', trimtab])).code === 0;

let place: Place;
beforeEach(async () => {
  place = await new Place().make();
});
afterEach(() => place.remove());

const refused = async (...args: string[]): Promise<string> => {
  const started = await Cluster.start(place, ...SIMULATED, ...args).catch((error: Error) => error);
  if (started instanceof Error) return started.message;
  await started.stop();
  throw new Error(`trimtab up ${args.join(' ')} started`);
};

test('a free port, one address, a kubeconfig elsewhere; every line is one object, from the start to SIGTERM', async () => {
  const kubeconfig = join(place.dataDir, 'config', 'here');
  const args = ['--bind', '127.0.0.1', '--kubeconfig', kubeconfig];
  const cluster = await Cluster.start(place, ...SIMULATED, ...args);
  const { server } = cluster.ready;
  expect(server).toMatch(/^https:\/\/127\.0\.0\.1:\d+$/);
  const { stdout } = await place.run('sh', ['-c', 'cat /proc/net/tcp /proc/net/tcp6']);
  const port = Number(new URL(server).port).toString(16).toUpperCase();
  expect(stdout).toContain(`0100007F:${port} 00000000:0000 0A`);
  expect(stdout).not.toContain(`00000000:${port} `);
  expect(cluster.ready.kubeconfig).toBe(kubeconfig);
  expect((await stat(kubeconfig)).mode & 0o777).toBe(0o600);
  expect(await cluster.must('get', 'nodes', '-o', 'name')).toBe('node/simulated-0\n');
  expect(await cluster.terminate()).toBe(0);
  expect(cluster.lines.map(({ event }) => event)).toEqual(['ready', 'stopping', 'stopped']);
  expect(cluster.stderr).toBe('');
});

test('what V8 compiled when this was built is taken: nobody waits for it again', async () => {
  const bundle = JSON.stringify(join(dirname(trimtab), '..', 'dist', 'bundle', 'main.cjs'));
  const compiled = JSON.stringify(join(dirname(trimtab), 'compiled.mjs'));
  const script = `const { loadCompiled } = await import(${compiled}); console.log(loadCompiled(${bundle}).taken)`;
  expect(await run(process.execPath, ['--input-type=module', '-e', script])).toMatchObject({
    code: 0,
    stdout: 'true\n',
  });
});

test('what cannot be is refused, naming the option', async () => {
  expect(await refused('--pod-cidr', 'banana')).toContain('--pod-cidr banana is not an IPv4 range');
  expect(await refused('--pod-cidr', '10.96.1.0/24')).toMatch(/--service-cidr .* and --pod-cidr .* overlap/);
  expect(await refused('--bind', '192.0.2.1')).toContain('--bind 192.0.2.1: this machine has no such address');
  expect(await refused('--kubeconfig', '/etc/passwd/x')).toContain('--kubeconfig /etc/passwd/x cannot be written');
  expect(await refused('--port', '65536')).toContain("option '--port <n>' argument '65536' is invalid");
});

test('a second start has the same data, and is refused with other ranges', async () => {
  const first = await Cluster.start(place, ...SIMULATED);
  await first.must('create', 'configmap', 'kept', '--from-literal=a=b');
  await first.stop();
  expect(await refused('--service-cidr', '10.97.0.0/16')).toMatch(
    /--service-cidr 10\.97\.0\.0\/16: the cluster in .* was made with 10\.96\.0\.0\/16/,
  );
  const second = await Cluster.start(place, ...SIMULATED);
  expect(await second.must('get', 'configmap', 'kept', '-o', 'jsonpath={.data.a}')).toBe('b');
  await second.stop();
});

test('a lock that a killed process left behind is no obstacle, and nothing acknowledged is lost', async () => {
  const first = await Cluster.start(place, ...SIMULATED);
  await first.must('create', 'configmap', 'kept');
  await first.kill();
  const second = await Cluster.start(place, ...SIMULATED);
  expect(await second.must('get', 'configmap', 'kept', '-o', 'name')).toBe('configmap/kept\n');
  await expect(Cluster.start(place, ...SIMULATED)).rejects.toThrow(`is in use by process ${second.pid}`);
  await second.stop();
});

test('two clusters run real pods side by side and know nothing of each other', async () => {
  const other = await new Place().make();
  try {
    await Promise.all([guestbookImages(place), guestbookImages(other)]);
    const clusters = await Promise.all([Cluster.start(place), Cluster.start(other)]);
    await Promise.all(
      clusters.map(async (cluster, i) => {
        await cluster.apply(
          shellPod(`pod-${i}`, `echo I am ${i}; trap "exit 0" TERM; while :; do busybox sleep 0.2; done`),
        );
        await cluster.must('wait', `pod/pod-${i}`, '--for=condition=Ready', '--timeout=120s');
        expect(await cluster.must('get', 'pods', '-o', 'name')).toBe(`pod/pod-${i}\n`);
        await eventually(
          () => cluster.must('logs', `pod-${i}`),
          (log) => log === `I am ${i}\n`,
        );
      }),
    );
    const apiName = 'kubernetes.default.svc.cluster.local';
    // One ends; the other's pods go on, and its network too.
    await clusters[0]!.stop();
    await place.trimtab('down', '--data-dir', place.dataDir);
    expect(await clusters[1]!.must('exec', 'pod-1', '--', 'busybox', 'nslookup', apiName)).toContain('10.96.0.1');
    await clusters[1]!.stop();
  } finally {
    await other.remove();
  }
});

(readable ? describe : describe.skip)(
  `without root${readable ? '' : ' (skipped: others may not read the checkout)'}`,
  () => {
    test('pods are refused and what works is said; without a node it works', async () => {
      const dataDir = join(place.dataDir, 'own');
      await mkdir(dataDir);
      await Promise.all([place.dataDir, dataDir].map((directory) => chown(directory, 65534, 65534)));
      await expect(Cluster.startAs(nobody, place, '--data-dir', dataDir)).rejects.toThrow(
        /needs root[\s\S]*trimtab up --no-node --simulated-nodes 1/,
      );
      const cluster = await Cluster.startAs(nobody, place, ...SIMULATED, '--data-dir', dataDir);
      expect(await readFile(`/proc/${cluster.pid}/status`, 'utf8')).toMatch(/^Uid:\s+65534\s+65534/m);
      await cluster.must('create', 'deployment', 'web', '--image=example.com/any:1', '--replicas=2');
      expect(await cluster.must('rollout', 'status', 'deployment/web', '--timeout=120s')).toContain('successfully');
      expect(await cluster.stop()).toBe(0);
    });

    test("a data directory of somebody else's is refused with what to do", async () => {
      await expect(Cluster.startAs(nobody, place, ...SIMULATED)).rejects.toThrow(
        /data directory .* cannot be written .*EACCES.*choose another with --data-dir/,
      );
    });
  },
);
