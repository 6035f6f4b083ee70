import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { copyFile, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Place, type Ran, run } from './cluster.js';
import { ME_SECRET, Registry, whyNoImageTools } from './registry.js';

/** Images against programs that share no code with ours: Debian's docker-registry, skopeo, buildah and podman. */

const whyNot = whyNoImageTools('docker-registry', 'skopeo', 'buildah', 'podman', 'busybox');
if (whyNot) console.warn(`images are not tested against others: ${whyNot}`);
const here = whyNot ? describe.skip : describe;

const PORT = 5000;
const REGISTRY = `127.0.0.1:${PORT}`;

const must = (ran: Ran): string => {
  if (ran.code !== 0) throw new Error(`code ${ran.code}: ${ran.stdout}${ran.stderr}`);
  return ran.stdout.trim();
};

here('images beside skopeo, buildah and podman', () => {
  let place: Place;
  let registry: Registry;
  let context: string;

  const trimtab = (...args: string[]): Promise<Ran> =>
    place.trimtab(...args.slice(0, 1), ...args.slice(1, 2), '--data-dir', place.dataDir, ...args.slice(2));
  const image = async (...args: string[]): Promise<string> => must(await trimtab('image', ...args));
  /** Storage of their own, so that nothing of this machine is seen or left. */
  const containers = (name: string): string[] => [
    '--root',
    join(place.dataDir, 'containers'),
    '--runroot',
    join(place.dataDir, 'containers-run'),
    '--storage-driver',
    'vfs',
    name,
  ];
  const buildah = async (name: string, ...args: string[]): Promise<string> =>
    must(
      await place.run('buildah', [...containers(name), ...args], {
        timeoutMs: 120_000,
        env: { BUILDAH_ISOLATION: 'chroot', REGISTRY_AUTH_FILE: join(place.dataDir, 'auth.json') },
      }),
    );
  const skopeo = async (...args: string[]): Promise<string> => must(await place.run('skopeo', args));
  const digestAt = async (reference: string): Promise<string> =>
    JSON.parse(await skopeo('inspect', '--tls-verify=false', `docker://${reference}`)).Digest as string;
  const inspect = async (reference: string): Promise<Record<string, never>> =>
    JSON.parse(await image('inspect', reference))[0];

  /** Every file of an image as buildah unpacks it: kind, permissions, owner, size, target and content. */
  const treeOf = async (reference: string): Promise<string> => {
    const container = await buildah('from', '--pull-never', reference);
    const mounted = await buildah('mount', container);
    const script = String.raw`cd "$0" && find . -mindepth 1 \( -type f -printf '%p %y%m %U:%G %s ' -exec sh -c 'sha256sum < "$1" | cut -c1-16' _ {} \; \) -o -printf '%p %y%m %U:%G %l\n' | sort; getcap -r . 2>/dev/null | sort`;
    const tree = must(await run('sh', ['-c', script, mounted]));
    await buildah('rm', container);
    return tree;
  };

  beforeAll(async () => {
    place = await new Place().make();
    await writeFile(join(place.dataDir, 'auth.json'), '{}');
    registry = await Registry.start(place, PORT);
    context = join(place.dataDir, 'context');
    await mkdir(join(context, 'files/sub'), { recursive: true });
    await copyFile('/bin/busybox', join(context, 'busybox'));
    await writeFile(join(context, 'files/a.txt'), 'a\n', { mode: 0o640 });
    await writeFile(join(context, 'files/sub/b.txt'), 'b\n');
    await writeFile(join(context, 'files/skipped.log'), 'x');
    await writeFile(join(context, '.dockerignore'), '**/*.log\n!files/keep.log\n');
    await writeFile(join(context, 'files/keep.log'), 'kept\n');
    must(await run('tar', ['-C', join(context, 'files'), '-czf', join(context, 'packed.tar.gz'), 'a.txt', 'sub']));
    await writeFile(
      join(context, 'base.Dockerfile'),
      `FROM scratch
COPY busybox /bin/busybox
RUN ["/bin/busybox", "--install", "-s", "/bin"]
RUN mkdir -p /etc /tmp /root && chmod 1777 /tmp && echo 'root:x:0:0::/root:/bin/sh' > /etc/passwd \\
 && echo 'app:x:1000:1000::/home/app:/bin/sh' >> /etc/passwd && printf 'root:x:0:\\napp:x:1000:\\n' > /etc/group
RUN mkdir -p /full/deep && touch /full/one /full/deep/two /gone && ln /full/one /full/hard
CMD ["/bin/sh"]
`,
    );
    await buildah(
      'bud',
      '--layers',
      '--network',
      'none',
      '-t',
      `${REGISTRY}/base:1`,
      '-f',
      join(context, 'base.Dockerfile'),
      context,
    );
    await buildah('push', '--tls-verify=false', `${REGISTRY}/base:1`);
  });

  afterAll(async () => {
    await registry?.stop();
    await place?.remove();
  });

  test('what buildah pushes is pulled with the same digest, and what is pushed again keeps it', async () => {
    const digest = await digestAt(`${REGISTRY}/base:1`);
    await image('pull', `${REGISTRY}/base:1`);
    expect((await inspect(`${REGISTRY}/base:1`)).digests).toEqual([`${REGISTRY}/base@${digest}`]);
    expect(await image('push', `${REGISTRY}/base:1`, `${REGISTRY}/copy/base:2`)).toContain(digest);
    expect(await digestAt(`${REGISTRY}/copy/base:2`)).toBe(digest);
    expect(await image('pull', '--quiet', `${REGISTRY}/base@${digest}`)).toBe((await inspect(`${REGISTRY}/base:1`)).id);
  });

  test.each([
    ['Docker manifests', ['--format', 'v2s2']],
    ['OCI manifests with zstd', ['--format', 'oci', '--dest-compress-format', 'zstd']],
  ])('%s are pulled and show the same files', async (_, flags) => {
    await skopeo(
      'copy',
      '-q',
      '--src-tls-verify=false',
      '--dest-tls-verify=false',
      ...flags,
      `docker://${REGISTRY}/base:1`,
      `docker://${REGISTRY}/other:1`,
    );
    await image('pull', `${REGISTRY}/other:1`);
    expect((await inspect(`${REGISTRY}/other:1`)).rootfs).toEqual((await inspect(`${REGISTRY}/base:1`)).rootfs);
  });

  test('the variant of this machine is chosen from an index, and another when it is asked for', async () => {
    const list = `${REGISTRY}/many:1`;
    await buildah('manifest', 'create', list);
    await buildah('manifest', 'add', '--arch', 'arm64', '--variant', 'v8', list, `${REGISTRY}/base:1`);
    await buildah('manifest', 'add', '--arch', 'amd64', list, `${REGISTRY}/base:1`);
    await buildah('manifest', 'push', '--tls-verify=false', '--all', list, `docker://${list}`);
    await image('pull', list);
    expect((await inspect(list)).digests).toContain(`${REGISTRY}/many@${await digestAt(list)}`);
    const { code, stderr } = await trimtab('image', 'pull', '--platform', 'linux/s390x', list);
    expect([code, stderr]).toEqual([
      1,
      expect.stringMatching(/no match for platform in manifest: linux\/s390x is not among linux\/a/),
    ]);
  });

  test('archives go both ways: docker-archive and OCI', async () => {
    const archive = join(place.dataDir, 'saved.tar');
    await image('save', '-o', archive, `${REGISTRY}/base:1`);
    const digest = await digestAt(`${REGISTRY}/base:1`);
    expect(JSON.parse(await skopeo('inspect', `oci-archive:${archive}`)).Digest).toBe(digest);
    expect(JSON.parse(await skopeo('inspect', `docker-archive:${archive}`)).RepoTags).toEqual([]);
    must(await place.run('podman', [...containers('load'), '-q', '-i', archive]));
    const docker = join(place.dataDir, 'docker.tar');
    await skopeo(
      'copy',
      '-q',
      '--src-tls-verify=false',
      `docker://${REGISTRY}/base:1`,
      `docker-archive:${docker}:example.com/loaded:1`,
    );
    await image('load', docker);
    expect((await inspect('example.com/loaded:1')).id).toBe((await inspect(`${REGISTRY}/base:1`)).id);
  });

  test('an uncompressed layer is compressed for a registry, and skopeo reads it', async () => {
    await writeFile(join(context, 'own.Dockerfile'), 'FROM scratch\nCOPY files/a.txt /a\n');
    must(await trimtab('build', context, '-t', 'own:1', '-f', join(context, 'own.Dockerfile')));
    const pushed = await image('push', '--quiet', 'own:1', `${REGISTRY}/own:1`);
    expect(await digestAt(`${REGISTRY}/own:1`)).toBe(pushed);
    const raw = JSON.parse(await skopeo('inspect', '--raw', '--tls-verify=false', `docker://${REGISTRY}/own:1`));
    expect(raw.layers[0].mediaType).toBe('application/vnd.oci.image.layer.v1.tar+gzip');
    await buildah('pull', '-q', '--tls-verify=false', `${REGISTRY}/own:1`);
    expect(await treeOf(`${REGISTRY}/own:1`)).toMatch(/^\.\/a f640 0:0 2 [0-9a-f]{16}$/m);
  });

  test('a registry that wants a password is told one, by flag or by docker config; without, the refusal is in words', async () => {
    // docker-registry takes bcrypt alone: of "secret", made once.
    const closed = await Registry.start(place, 5001, ME_SECRET);
    try {
      const name = '127.0.0.1:5001/closed:1';
      const refused = await trimtab('image', 'pull', name);
      expect(refused.stderr).toMatch(
        /failed to resolve reference "127.0.0.1:5001\/closed:1": pull access denied, repository does not exist or may require authorization/,
      );
      await skopeo(
        'copy',
        '-q',
        '--src-tls-verify=false',
        '--dest-tls-verify=false',
        '--dest-creds',
        'me:secret',
        `docker://${REGISTRY}/base:1`,
        `docker://${name}`,
      );
      await image('pull', '--creds', 'me:secret', name);
      const wrong = await trimtab('image', 'pull', '--creds', 'me:wrong', name);
      expect([wrong.code, wrong.stderr]).toEqual([1, expect.stringContaining('authorization')]);
      const auth = Buffer.from('me:secret').toString('base64');
      await writeFile(join(place.dataDir, 'config.json'), JSON.stringify({ auths: { '127.0.0.1:5001': { auth } } }));
      await image('rm', name);
      const options = { env: { DOCKER_CONFIG: place.dataDir } };
      must(await place.trimtabWith(options, 'image', 'pull', '--data-dir', place.dataDir, name));
    } finally {
      await closed.stop();
    }
  });

  test('a certificate of an authority of its own is trusted by flag or file, and refused without', async () => {
    const [certificate, key] = [join(place.dataDir, 'tls.crt'), join(place.dataDir, 'tls.key')];
    must(
      await run('openssl', [
        ...['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=registry'],
        ...['-addext', 'subjectAltName=IP:127.0.0.1', '-out', certificate, '-keyout', key],
      ]),
    );
    const secure = await Registry.start(place, 5002, undefined, { certificate, key });
    const [name, registries] = ['127.0.0.1:5002/secure:1', join(place.dataDir, 'tls.yaml')];
    try {
      await image('pull', `${REGISTRY}/base:1`);
      await image('push', '--ca', certificate, `${REGISTRY}/base:1`, name);
      await writeFile(registries, JSON.stringify({ configs: { '127.0.0.1:5002': { tls: {} } } }));
      const refused = await trimtab('image', 'pull', '--registries', registries, name);
      expect([refused.code, refused.stderr]).toEqual([
        1,
        expect.stringMatching(/failed to do request: .*self-signed certificate/),
      ]);
      await image('pull', '--insecure', name);
      await writeFile(registries, JSON.stringify({ configs: { '127.0.0.1:5002': { tls: { ca_file: certificate } } } }));
      expect(await image('pull', '--registries', registries, name)).toBe(`pulled ${name}`);
    } finally {
      await secure.stop();
    }
  });

  const DOCKERFILES: Readonly<Record<string, string>> = {
    'copies of every form': `FROM ${REGISTRY}/base:1
WORKDIR /srv/app
COPY files .
COPY files/a.txt files/sub/b.txt /several/
COPY --chown=app:app --chmod=600 files/a.txt /owned/x
COPY --chown=1234 files /numbers
COPY files/*.txt /globbed/
COPY ["files/a.txt", "/with space/a"]
ADD packed.tar.gz /unpacked/
COPY packed.tar.gz /kept/
`,
    'deletions and replacements': `FROM ${REGISTRY}/base:1
RUN rm -rf /full /gone && mkdir /full && echo new > /full/new
RUN echo changed > /etc/group && chmod 4755 /bin/busybox && ln -s /nowhere /dangling && mkfifo /pipe
RUN rm /etc/group && ln /etc/passwd /etc/group
`,
    'configuration of every kind': `ARG TAG=1
FROM ${REGISTRY}/base:\${TAG} AS first
ARG VERSION=3
ARG TAG
ENV A=1 B="two words" C=\${A}-\${VERSION} D=\${UNSET:-default} E=\\$A
ENV OLD the whole rest
LABEL one=1 "two words"="x y" three=\${C}
EXPOSE 80 443/tcp 5353/udp
USER app
WORKDIR /home
WORKDIR app/$A
STOPSIGNAL SIGINT
ENTRYPOINT ["/bin/sh", "-c"]
CMD echo $A
SHELL ["/bin/sh", "-ec"]
RUN echo "$VERSION $TAG $A" > /tmp/values; id >> /tmp/values; pwd >> /tmp/values
VOLUME /tmp /root
VOLUME ["/bin"]
`,
    'stages, and only those that are needed': `FROM ${REGISTRY}/base:1 AS one
RUN mkdir /out && echo one > /out/one && chown -R 1000:1000 /out && ln -s one /out/link
FROM ${REGISTRY}/base:1 AS never
RUN exit 1
FROM one AS two
RUN echo two > /out/two
FROM ${REGISTRY}/base:1
COPY --from=two /out /result
COPY --from=0 /out/one /renamed
COPY --from=${REGISTRY}/base:1 /etc/passwd /taken/
`,
    'an entrypoint that forgets the base command': `FROM ${REGISTRY}/base:1
ENTRYPOINT ["/bin/echo"]
`,
  };

  test.each(Object.entries(DOCKERFILES))('%s: buildah and trimtab build the same', async (name, text) => {
    const tag = name
      .replace(/[^a-z]+/g, '-')
      .slice(0, 20)
      .replace(/-$/, '');
    const file = join(context, `${tag}.Dockerfile`);
    await writeFile(file, text);
    await buildah('bud', '-q', '--network', 'none', '-t', `${REGISTRY}/theirs:${tag}`, '-f', file, context);
    must(await trimtab('build', context, '-t', `${REGISTRY}/ours:${tag}`, '--network', 'none', '-f', file));
    await image('push', `${REGISTRY}/ours:${tag}`);
    await buildah('pull', '-q', '--tls-verify=false', `${REGISTRY}/ours:${tag}`);
    const config = async (who: string): Promise<object> => {
      const { OCIv1 } = JSON.parse(await buildah('inspect', '--type', 'image', `${REGISTRY}/${who}:${tag}`));
      const { Labels = {}, Env = [], ...rest } = OCIv1.config;
      // Each names itself.
      const { 'io.buildah.version': _, ...labels } = Labels;
      return { ...rest, Labels: labels, Env: [...Env].sort() };
    };
    expect(await config('ours')).toEqual(await config('theirs'));
    expect(await treeOf(`${REGISTRY}/ours:${tag}`)).toBe(await treeOf(`${REGISTRY}/theirs:${tag}`));
  });

  test('the same inputs give the same image to the bit, and an unchanged step is not carried out again', async () => {
    const file = join(context, 'again.Dockerfile');
    await writeFile(
      file,
      `FROM ${REGISTRY}/base:1\nCOPY files /files\nRUN date +%N > /dev/null; touch /made\nLABEL x=y\n`,
    );
    const build = (...flags: string[]): Promise<Ran> =>
      trimtab('build', context, '-t', 'again:1', '-f', file, '--build-arg', 'SOURCE_DATE_EPOCH=1000000000', ...flags);
    must(await build());
    const first = await inspect('again:1');
    await image('rm', 'again:1');
    const second = await build('--no-cache');
    expect(second.stderr).not.toContain('as before');
    expect((await inspect('again:1')).id).toBe(first.id);
    expect((await build()).stderr.match(/as before/g)).toHaveLength(2);
    await writeFile(join(context, 'files/a.txt'), 'other\n');
    expect((await build()).stderr).not.toContain('as before');
    await writeFile(join(context, 'files/a.txt'), 'a\n');
  });

  test.each([
    ['FROM scratch\nRUNN x\n', /bad\.Dockerfile:2: unknown instruction: RUNN/],
    ['FROM scratch\n\nCOPY nothing /\n', /bad\.Dockerfile:3: .*stat nothing: file does not exist/],
    [
      `FROM ${REGISTRY}/base:1\nRUN exit 3\n`,
      /bad\.Dockerfile:2: process "\/bin\/sh -c exit 3" did not complete successfully: exit code: 3/,
    ],
    ['FROM scratch\nADD https://example.com/x /\n', /bad\.Dockerfile:2: .*needs --checksum=sha256/],
    ['RUN x\n', /bad\.Dockerfile:1: no build stage in current context/],
  ])('a mistake is told with its line: %j', async (text, words) => {
    const file = join(context, 'bad.Dockerfile');
    await writeFile(file, text);
    const { code, stderr } = await trimtab('build', context, '-f', file);
    expect([code, stderr]).toEqual([1, expect.stringMatching(words)]);
  });

  test('what is added from afar comes through the proxy that the environment names, and is verified', async () => {
    const answers = 'http.createServer((q, s) => s.end(q.url)).listen(3128, "127.0.0.1", () => console.log("ready"))';
    const child = spawn(...place.inside(process.execPath, ['-e', answers]), { stdio: ['ignore', 'pipe', 'inherit'] });
    await once(child.stdout, 'data');
    const url = 'http://files.invalid/data.txt';
    const build = async (content: string) => {
      const digest = createHash('sha256').update(content).digest('hex');
      await writeFile(join(context, 'far.Dockerfile'), `FROM scratch\nADD --checksum=sha256:${digest} ${url} /\n`);
      const words = [
        'build',
        context,
        '-t',
        'far:1',
        '-f',
        join(context, 'far.Dockerfile'),
        '--data-dir',
        place.dataDir,
      ];
      return place.trimtabWith({ env: { HTTP_PROXY: 'http://127.0.0.1:3128' } }, ...words);
    };
    expect(await build(url)).toMatchObject({ code: 0 });
    expect(await build('something else')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('digest mismatch'),
    });
    child.kill();
    await image('rm', 'far:1');
  });

  test('killed at any instant of a pull, nothing half is there, and the next pull completes it', async () => {
    const dataDir = join(place.dataDir, 'killed');
    const [program, args] = place.inside(process.execPath, [
      join(process.cwd(), 'cli/bin/trimtab.mjs'),
      'image',
      'pull',
      '--data-dir',
      dataDir,
      `${REGISTRY}/base:1`,
    ]);
    for (const ms of [150, 200, 250, 300, 350, 400, 500]) {
      const child = spawn(program, args, { stdio: 'ignore' });
      const ended = new Promise((done) => child.once('exit', done));
      await Promise.race([ended, delay(ms)]);
      child.kill('SIGKILL');
      await ended;
      for (const layer of await readdir(join(dataDir, 'images/layers')).catch(() => []))
        await readFile(join(dataDir, 'images/layers', layer, 'size'));
    }
    must(await place.trimtab('image', 'pull', '--data-dir', dataDir, `${REGISTRY}/base:1`));
    must(await place.trimtab('image', 'rm', '--data-dir', dataDir, `${REGISTRY}/base:1`));
    for (const part of ['layers', 'tmp', 'blobs/sha256', 'marks'])
      expect([part, await readdir(join(dataDir, 'images', part))]).toEqual([part, []]);
  });
});
