import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import * as fs from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { gzipSync } from 'node:zlib';
import { seededRandom, silentLogger, systemClock } from '@trimtab/machinery';
import { pack } from 'tar-stream';
import { coreBinary } from '../runtime/native/test-pods.js';
import { directoryImageStore } from './directory-store.js';
import type { ImageStore, ImageUpkeep } from './image-store.js';
import { formatReference, parseReference } from './reference.js';

type Entry = {
  name: string;
  type?: 'file' | 'directory' | 'symlink' | 'link';
  linkname?: string;
  mode?: number;
  uid?: number;
};

async function tar(entries: readonly (Entry & { data?: string | Buffer })[]): Promise<Buffer> {
  const stream = pack();
  for (const { data, ...header } of entries) stream.entry({ mtime: new Date(1e12), ...header }, data ?? '');
  stream.finalize();
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

const sha = (bytes: Buffer | string) => createHash('sha256').update(bytes).digest('hex');

/** A docker-save archive with these layers, each a list of tar entries. */
async function dockerArchive(tag: string, layers: readonly Buffer[], config: object = {}): Promise<Buffer> {
  const configText = JSON.stringify({
    config,
    rootfs: { type: 'layers', diff_ids: layers.map((layer) => `sha256:${sha(layer)}`) },
  });
  const manifest = [{ Config: 'config.json', RepoTags: [tag], Layers: layers.map((_, i) => `${i}/layer.tar`) }];
  return tar([
    ...layers.map((data, i) => ({ name: `${i}/layer.tar`, data })),
    { name: 'config.json', data: configText },
    { name: 'manifest.json', data: JSON.stringify(manifest) },
  ]);
}

describe('references', () => {
  test.each([
    ['redis', 'docker.io/library/redis:latest'],
    ['redis:7', 'docker.io/library/redis:7'],
    ['bitnami/redis', 'docker.io/bitnami/redis:latest'],
    ['localhost:5000/a/b:c', 'localhost:5000/a/b:c'],
    ['ghcr.io/x/y', 'ghcr.io/x/y:latest'],
    [`r@sha256:${'a'.repeat(64)}`, `docker.io/library/r@sha256:${'a'.repeat(64)}`],
  ])('%s means %s', (short, full) => expect(formatReference(parseReference(short))).toBe(full));

  test.each(['', 'UPPER/case', 'a b', 'x:', ':tag', 'a//b'])('%p is no reference', (text) => {
    expect(() => parseReference(text)).toThrow(/couldn't parse image name: invalid reference format/);
  });
});

describe('the image directory', () => {
  let directory: string;
  let store: ImageStore & ImageUpkeep;
  const load = (bytes: Buffer) => store.load(Readable.from([bytes]));
  /** What a container would read: through a real overlay, in a mount namespace that ends with the reader. */
  const read = async (layers: readonly string[], file: string): Promise<string | undefined> => {
    const at = await fs.mkdtemp(join(directory, 'mount-'));
    const script = `mount -t overlay overlay -o lowerdir=${[...layers, at].join(':')} ${at} && cat ${at}/${file}`;
    const { status, stdout } = spawnSync('unshare', ['-m', 'sh', '-c', script], { encoding: 'utf8' });
    return status === 0 ? stdout : undefined;
  };

  beforeEach(async () => {
    directory = await fs.mkdtemp(join(tmpdir(), 'trimtab-images-'));
    store = await directoryImageStore({
      directory,
      coreBinary,
      clock: systemClock,
      architecture: 'amd64',
      random: seededRandom(1),
      logger: silentLogger,
    });
  });
  afterEach(() => fs.rm(directory, { recursive: true, force: true }));

  test('loads a docker archive with modes, links and configuration, and finds it by every name', async () => {
    const layer = await tar([
      { name: 'bin/', type: 'directory', mode: 0o755 },
      { name: 'bin/sh', data: 'shell', mode: 0o4755 },
      { name: 'bin/ash', type: 'link', linkname: 'bin/sh' },
      { name: 'sh', type: 'symlink', linkname: '/bin/sh' },
    ]);
    const [image] = await load(gzipSync(await dockerArchive('tiny:1', [layer], { Cmd: ['/bin/sh'] })));
    expect(image).toMatchObject({ tags: ['docker.io/library/tiny:1'], size: 5, config: { Cmd: ['/bin/sh'] } });
    const root = image!.layers[0]!;
    expect((await fs.stat(join(root, 'bin/sh'))).mode & 0o7777).toBe(0o4755);
    expect((await fs.stat(join(root, 'bin/ash'))).ino).toBe((await fs.stat(join(root, 'bin/sh'))).ino);
    expect(await fs.readlink(join(root, 'sh'))).toBe('/bin/sh');
    for (const name of ['tiny:1', 'docker.io/library/tiny:1', image!.id])
      expect((await store.find(name))?.id).toBe(image!.id);
    expect(await store.find('tiny:2')).toBeUndefined();
  });

  test('loads an OCI layout for this machine and keeps its digest', async () => {
    const layer = await tar([{ name: 'a', data: 'A' }]);
    const blobs: Buffer[] = [];
    const blob = (bytes: Buffer) => {
      blobs.push(bytes);
      return { digest: `sha256:${sha(bytes)}`, size: bytes.length };
    };
    const json = (value: object) => blob(Buffer.from(JSON.stringify({ schemaVersion: 2, ...value })));
    const config = json({ rootfs: { type: 'layers', diff_ids: [`sha256:${sha(layer)}`] } });
    const manifest = json({ config, layers: [blob(gzipSync(layer))] });
    const list = json({
      manifests: [
        { digest: `sha256:${sha('absent')}`, size: 6, platform: { architecture: 'riscv64' } },
        { ...manifest, platform: { architecture: 'amd64' } },
      ],
    });
    const index = { manifests: [{ ...list, annotations: { 'io.containerd.image.name': 'example.com/app:v1' } }] };
    const [image] = await load(
      await tar([
        { name: 'index.json', data: JSON.stringify(index) },
        ...blobs.map((data) => ({ name: `blobs/sha256/${sha(data)}`, data })),
      ]),
    );
    expect(image?.digests).toEqual([`example.com/app@${manifest.digest}`]);
    expect((await store.find(`example.com/app@${manifest.digest}`))?.tags).toEqual(['example.com/app:v1']);
  });

  test('an upper layer deletes and empties what lower ones hold, without touching them', async () => {
    const lower = await tar([
      { name: 'd/', type: 'directory' },
      { name: 'd/old', data: 'old' },
      { name: 'gone', data: 'gone' },
      { name: 'stays', data: 'stays' },
    ]);
    const upper = await tar([{ name: '.wh.gone' }, { name: 'd/.wh..wh..opq' }, { name: 'd/new', data: 'new' }]);
    const [base] = await load(await dockerArchive('base:1', [lower]));
    const [image] = await load(await dockerArchive('app:1', [lower, upper]));
    const files = ['gone', 'd/old', 'd/new', 'stays'];
    expect(await Promise.all(files.map((f) => read(image!.layers, f)))).toEqual([undefined, undefined, 'new', 'stays']);
    expect(await Promise.all(files.map((f) => read(base!.layers, f)))).toEqual(['gone', 'old', undefined, 'stays']);
  });

  test('never writes outside a layer, neither by .. nor through a link', async () => {
    const outside = join(directory, 'outside');
    await fs.mkdir(outside);
    const layer = await tar([
      { name: 'link', type: 'symlink', linkname: outside },
      { name: 'link/through', data: 'x' },
      { name: '../../../../up', data: 'y' },
      { name: 'far', type: 'symlink', linkname: '../../../../../..' },
      { name: `far${outside}/deep`, data: 'z' },
    ]);
    const [image] = await load(await dockerArchive('evil:1', [layer]));
    expect(await fs.readdir(outside)).toEqual([]);
    expect(await fs.readFile(join(image!.layers[0]!, 'up'), 'utf8')).toBe('y');
    expect(await fs.readFile(join(image!.layers[0]!, outside, 'through'), 'utf8')).toBe('x');
  });

  test('a layer whose content is not what its digest says is refused and leaves nothing', async () => {
    const layer = await tar([{ name: 'a', data: 'A' }]);
    const archive = await dockerArchive('bad:1', [layer]);
    archive.write('B', archive.indexOf('A\0\0\0'));
    await expect(load(archive)).rejects.toThrow(/does not match its digest/);
    expect(await store.list()).toEqual([]);
    expect(await fs.readdir(join(directory, 'layers'))).toEqual([]);
  });

  test('what is no image archive, or is cut short, is refused in words', async () => {
    await expect(load(await tar([{ name: 'hello', data: 'x' }]))).rejects.toThrow(/not an image archive/);
    const layer = await tar([{ name: 'a', data: 'A' }]);
    const archive = await dockerArchive('cut:1', [layer]);
    await expect(load(archive.subarray(0, archive.length / 2))).rejects.toThrow(/not an image archive.*cut short/);
    await expect(load(Buffer.from('not even tar'))).rejects.toThrow(
      /not an image archive: neither tar nor tar in gzip/,
    );
    await expect(load(await tar([{ name: 'manifest.json', data: '{' }]))).rejects.toThrow(/should be JSON .* is not/);
    const broken = Readable.from(
      (async function* () {
        yield Buffer.alloc(10);
        throw Object.assign(new Error('EIO: read'), { syscall: 'read' });
      })(),
    );
    await expect(store.load(broken)).rejects.toThrow('EIO: read');
  });

  test('loading again copies nothing; removing keeps layers that others use', async () => {
    const lower = await tar([{ name: 'a', data: 'A' }]);
    const upper = await tar([{ name: 'b', data: 'B' }]);
    const [one] = await load(await dockerArchive('one:1', [lower]));
    const inode = (await fs.stat(one!.layers[0]!)).ino;
    const [two] = await load(await dockerArchive('two:1', [lower, upper]));
    expect((await fs.stat(two!.layers[1]!)).ino).toBe(inode);
    expect(await store.remove('one:1')).toBe(true);
    expect(await store.remove('one:1')).toBe(false);
    expect(await read(two!.layers, 'a')).toBe('A');
    await store.remove('two:1');
    expect(await fs.readdir(join(directory, 'layers'))).toEqual([]);
  });

  test('an image that came by an archive, and could not be pulled again, only goes when asked for', async () => {
    const unused = { inUse: new Set<string>(), now: Date.now() + 1e9 };
    const names = async () => (await store.list()).flatMap(({ tags }) => tags);
    await load(await dockerArchive('one:1', [await tar([{ name: 'a', data: 'A' }])]));
    expect((await store.removeUnused(unused)).removed).toEqual([]);
    await load(await dockerArchive('one:1', [await tar([{ name: 'a', data: 'B' }])]));
    // The first has lost its name to the second.
    expect((await store.removeUnused(unused)).removed.map(({ tags }) => tags)).toEqual([[]]);
    expect(await names()).toEqual(['docker.io/library/one:1']);
    await store.removeUnused({ ...unused, localToo: true, danglingOnly: true });
    expect(await names()).toHaveLength(1);
    await store.removeUnused({ ...unused, localToo: true });
    expect(await names()).toEqual([]);
  });
});
