import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Cluster, eventually, Place, root, run, trimtab } from './cluster.js';

/** What `trimtab create controller` lays out, built and run as its README says. Needs root. */
const suite = process.getuid?.() === 0 ? describe : describe.skip;

suite('a new project', () => {
  let place: Place;
  let cluster: Cluster;
  let directory: string;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'trimtab-project-'));
    place = await new Place().make();
    cluster = await Cluster.start(place, '--no-node', '--simulated-nodes', '1');
  });
  afterAll(async () => {
    await cluster?.stop();
    await place?.remove();
    await rm(directory, { recursive: true, force: true });
  });

  test('row 35: it builds, passes its tests, runs as the one file of its image, and its chart is applied', async () => {
    const project = join(directory, 'web-site');
    const created = await run(process.execPath, [trimtab, 'create', 'controller', 'web-site', '--directory', project]);
    expect(created.code).toBe(0);
    // What `npm install` would bring is here already.
    await symlink(join(root, 'node_modules'), join(project, 'node_modules'));
    const { scripts } = JSON.parse(await readFile(join(project, 'package.json'), 'utf8'));
    const env = { TRIMTAB_DATA_DIR: place.dataDir, PATH: `${join(root, 'node_modules/.bin')}:${process.env.PATH}` };
    const inProject = (script: string) =>
      run('sh', ['-c', `cd '${project}' && ${script}`], { env, timeoutMs: 120_000 });
    expect(await inProject(scripts.build)).toMatchObject({ code: 0 });
    expect((await inProject(scripts.test)).stdout).toMatch(/^# fail 0$/m);

    // As in its image: the file alone.
    const bundle = join(directory, 'main.cjs');
    expect((await run('cp', [join(project, 'dist/main.cjs'), bundle])).code).toBe(0);
    const [program, words] = place.inside(process.execPath, [bundle]);
    const child = spawn(program, words, { env: { ...process.env, KUBECONFIG: cluster.ready.kubeconfig } });
    let said = '';
    child.stderr.on('data', (chunk) => (said += chunk));
    const ended = new Promise<number | null>((resolve) => child.once('exit', resolve));
    await eventually(
      async () => said,
      (text) => text.includes('"leading"'),
    );
    await cluster.apply({
      apiVersion: 'example.com/v1',
      kind: 'WebSite',
      metadata: { name: 'first', namespace: 'default' },
      spec: { message: 'hello' },
    });
    await eventually(
      () => cluster.must('get', 'configmaps', '--ignore-not-found', 'first', '-o', 'jsonpath={.data.message}'),
      (text) => text === 'hello',
    );
    child.kill('SIGTERM');
    expect(await ended).toBe(0);
    const lease = await cluster.json<{ spec: { holderIdentity?: string } }>('get', 'lease', 'web-site');
    expect(lease.spec.holderIdentity).toBeUndefined();

    const packed = await inProject(scripts.image.replaceAll('npm run build', 'true'));
    expect(packed).toMatchObject({ code: 0, stdout: expect.stringContaining('web-site:0.1.0') });
    expect(await readFile(join(project, 'chart/templates/generated.yaml'), 'utf8')).toMatch(/kind: ClusterRole/);
    const applied = await place.run(process.execPath, [trimtab, 'apply', '-f', join(project, 'chart')], {
      env: { KUBECONFIG: cluster.ready.kubeconfig },
    });
    expect(applied).toMatchObject({ code: 0, stdout: expect.stringContaining('deployment.apps/web-site created') });
    expect(applied.stdout).toContain('clusterrole.rbac.authorization.k8s.io/web-site created');
  });
});
