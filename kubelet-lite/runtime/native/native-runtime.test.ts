import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { firstValueFrom } from 'rxjs';
import { filter } from 'rxjs/operators';
import { withPods } from './test-pods.js';

const exec = { stdin: false, stdout: true, stderr: true, tty: false };

withPods('native runtime', { idle: true }, (pods) => {
  const sh = (command: string, container = 'idle') =>
    pods.runtime.execSync(container, { command: ['sh', '-c', command], timeoutMs: 120_000, maxOutput: 10_000 });

  test('a container prints, exits with its code, and is logged in CRI format', async () => {
    const { runtime } = pods;
    const status = await runtime.runSandbox(pods.sandbox('first'));
    expect(status).toMatchObject({ id: 'first', state: 'ready', annotations: { uid: 'first' }, containers: [] });
    const command = ['sh', '-c', 'echo out; echo err >&2; printf tail; exit 3'];
    const started = await runtime.startContainer('first', pods.container('first-c', command));
    expect(started).toMatchObject({ id: 'first-c', state: 'running' });
    expect(await pods.exit('first-c')).toMatchObject({ state: 'exited', exitCode: 3, signal: 0, oomKilled: false });
    const time = '\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d\\.\\d{9}Z';
    expect(pods.log('first-c').split('\n').filter(Boolean).sort()).toEqual([
      expect.stringMatching(new RegExp(`^${time} stdout F out$`)),
      expect.stringMatching(new RegExp(`^${time} (stderr F err|stdout P tail)$`)),
      expect.stringMatching(new RegExp(`^${time} (stderr F err|stdout P tail)$`)),
    ]);
    await runtime.removeSandbox('first');
    await runtime.removeSandbox('first');
    expect((await runtime.list()).map((s) => s.id)).not.toContain('first');
    expect(existsSync(join(pods.dir, 'containers/first-c'))).toBe(false);
  });

  test('a command that does not exist says so, and leaves nothing behind', async () => {
    const start = (args: readonly string[]) => pods.runtime.startContainer('pod', pods.container('missing', args));
    await expect(start(['/no/such'])).rejects.toMatchObject({ stage: 'exec', errno: 'ENOENT', object: '/no/such' });
    await expect(start(['nosuch'])).rejects.toMatchObject({
      stage: 'exec',
      errno: 'ENOENT',
      object: 'nosuch: not found in $PATH',
    });
    await expect(start(['/etc/passwd'])).rejects.toMatchObject({ stage: 'exec', errno: 'EACCES' });
    expect(existsSync(join(pods.dir, 'containers/missing'))).toBe(false);
    await expect(
      pods.runtime.execSync('idle', { command: ['/nope'], timeoutMs: 120_000, maxOutput: 10 }),
    ).rejects.toMatchObject({ stage: 'exec', errno: 'ENOENT', object: '/nope' });
    await expect(pods.runtime.exec('idle', { ...exec, command: ['/nope'] })).rejects.toMatchObject({
      errno: 'ENOENT',
    });
  });

  test('starting twice gives the same container', async () => {
    const again = await pods.runtime.startContainer('pod', pods.container('idle', ['sleep', '1000']));
    const [pod] = (await pods.runtime.list()).filter((s) => s.id === 'pod');
    expect(pod!.containers.find((c) => c.id === 'idle')).toEqual(again);
    expect((await pods.runtime.runSandbox(pods.sandbox('pod'))).pid).toBe(pod!.pid);
  });

  test('without its log nothing of a container runs, and nothing of it is left', async () => {
    const ran = join(pods.dir, 'ran');
    mkdirSync(ran);
    const bind = { destination: '/ran', type: 'bind', source: ran, options: ['rbind', 'rw'] };
    const logPath = join(pods.dir, 'no-such-directory', 'log');
    for (let i = 0; i < 20; i++) {
      const config = pods.container('unlogged', ['sh', '-c', 'echo > /ran/it'], { logPath }, (spec) => ({
        ...spec,
        mounts: [...spec.mounts, bind],
      }));
      await expect(pods.runtime.startContainer('pod', config)).rejects.toMatchObject({
        stage: 'log',
        errno: 'ENOENT',
        object: logPath,
      });
      expect(existsSync(config.directory)).toBe(false);
    }
    expect(readdirSync(ran)).toEqual([]);
  });

  test('signals, and memory that runs out, are told apart', async () => {
    const { runtime } = pods;
    await runtime.startContainer('pod', pods.container('killed', ['sleep', '1000']));
    await runtime.signal('killed', 'SIGKILL');
    expect(await pods.exit('killed')).toMatchObject({ exitCode: 137, signal: 9, oomKilled: false });
    await runtime.signal('killed', 'SIGTERM');
    await runtime.startContainer('pod', pods.container('greedy', ['tail', '/dev/zero']));
    expect(await pods.exit('greedy')).toMatchObject({ exitCode: 137, signal: 9, oomKilled: true });
    await runtime.removeContainer('greedy');
    await runtime.removeContainer('greedy');
  });

  test('exec streams in both directions, slowly and in bulk, and tells the exit code', async () => {
    const { runtime } = pods;
    expect(await sh('hostname; echo bad >&2; exit 4')).toEqual({ exitCode: 4, stdout: 'pod\n', stderr: 'bad\n' });
    const cat = await runtime.exec('idle', { ...exec, stdin: true, command: ['cat'] });
    const big = 'x'.repeat(3 << 20);
    cat.stdin!.end(big);
    expect((await text(cat.stdout!)).length).toBe(big.length);
    expect(await cat.exit).toBe(0);
    const slow = await runtime.exec('idle', { ...exec, command: ['sh', '-c', 'head -c 5000000 /dev/zero; exit 7'] });
    let total = 0;
    for await (const chunk of slow.stdout!) {
      total += (chunk as Buffer).length;
      await new Promise(setImmediate);
    }
    expect([total, await slow.exit]).toEqual([5_000_000, 7]);
  });

  test('an exit code is not lost to what was sent after the process had ended', async () => {
    const done = await pods.runtime.exec('idle', {
      ...exec,
      stdin: true,
      tty: true,
      command: ['sh', '-c', 'echo all; exit 3'],
    });
    const all = text(done.stdout!);
    // Nothing is read meanwhile, so the process is gone before these are written.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200);
    done.resize(80, 24);
    done.stdin!.write('late');
    expect(await done.exit).toBe(3);
    expect(await all).toBe('all\r\n');
  });

  test('a closed exec is killed; one that is late is too', async () => {
    const { runtime } = pods;
    const sleep = await runtime.exec('idle', { ...exec, command: ['sh', '-c', 'echo up; sleep 7777'] });
    await new Promise((resolve) => sleep.stdout!.once('data', resolve));
    sleep.close();
    const gone = async () => {
      while ((await sh('ps')).stdout.includes('7777')) await new Promise(setImmediate);
    };
    await gone();
    const late = runtime.execSync('idle', { command: ['sleep', '7777'], timeoutMs: 50, maxOutput: 10 });
    await expect(late).rejects.toMatchObject({ errno: 'ETIMEDOUT', code: 'Timeout' });
    await gone();
  });

  test('a terminal has a size, merges its output and takes input', async () => {
    const { runtime } = pods;
    const shell = await runtime.exec('idle', { ...exec, stdin: true, tty: true, command: ['sh'] });
    expect(shell.stderr).toBeUndefined();
    shell.resize(123, 45);
    shell.stdin!.write('stty size; tty; exit 9\n');
    const said = await text(shell.stdout!);
    expect(said).toContain('45 123\r\n');
    expect(said).toContain('/dev/pts/');
    expect(await shell.exit).toBe(9);
    await runtime.startContainer('pod', pods.container('terminal', ['sh'], { tty: true, stdin: true }));
    const attached = await runtime.attach('terminal');
    attached.stdin!.write('tty; ls -l /dev/console; exit 5\n');
    expect(await text(attached.stdout!)).toContain('/dev/pts/0');
    expect(await attached.exit).toBe(5);
    expect(pods.log('terminal')).toContain('/dev/pts/0');
  });

  test('attach sees output from then on and feeds stdin', async () => {
    const { runtime } = pods;
    await runtime.startContainer('pod', pods.container('reader', ['cat'], { stdin: true, stdinOnce: true }));
    const attached = await runtime.attach('reader');
    attached.stdin!.end('through\n');
    expect(await text(attached.stdout!)).toBe('through\n');
    expect(await attached.exit).toBe(0);
    expect(pods.log('reader')).toMatch(/ stdout F through\n$/);
  });

  test('the log moves on to a new file after a rotation', async () => {
    const { runtime } = pods;
    await runtime.startContainer(
      'pod',
      pods.container('logger', ['sh', '-c', 'echo one; read x; echo two'], { stdin: true }),
    );
    const attached = await runtime.attach('logger');
    while (!existsSync(join(pods.dir, 'logger.log')) || !pods.log('logger').includes('one'))
      await new Promise(setImmediate);
    renameSync(join(pods.dir, 'logger.log'), join(pods.dir, 'logger.log.1'));
    await runtime.reopenLog('logger');
    attached.stdin!.write('\n');
    await pods.exit('logger');
    expect(pods.log('logger')).toMatch(/^\S+ stdout F two\n$/);
    expect(readFileSync(join(pods.dir, 'logger.log.1'), 'utf8')).toMatch(/^\S+ stdout F one\n$/);
  });

  test('a port inside the pod is reached without a route to it', async () => {
    const { runtime } = pods;
    await runtime.startContainer('pod', pods.container('server', ['nc', '-l', '-p', '8080', '-e', 'cat']));
    const listening = async () => !(await sh('cat /proc/net/tcp /proc/net/tcp6')).stdout.includes(':1F90');
    while (await listening()) await new Promise(setImmediate);
    const socket = await runtime.dial('pod', '127.0.0.1', 8080);
    socket.end('echo me');
    expect(await text(socket)).toBe('echo me');
    const bulk = ['nc', '-l', '-p', '8081', '-e', 'head', '-c', '3000000', '/dev/zero'];
    await runtime.startContainer('pod', pods.container('bulk', bulk));
    while (!(await sh('cat /proc/net/tcp /proc/net/tcp6')).stdout.includes(':1F91')) await new Promise(setImmediate);
    let total = 0;
    for await (const chunk of await runtime.dial('pod', '127.0.0.1', 8081)) {
      total += (chunk as Buffer).length;
      await new Promise(setImmediate);
    }
    expect(total).toBe(3_000_000);
    await expect(runtime.dial('pod', '127.0.0.1', 9)).rejects.toMatchObject({ stage: 'dial', errno: 'ECONNREFUSED' });
  });

  test('containers that share processes see each other, below an init that owns nothing', async () => {
    const { runtime } = pods;
    await runtime.runSandbox(pods.sandbox('shared', { sharePid: true }));
    await runtime.startContainer('shared', pods.container('shared-a', ['sleep', '4321']));
    await runtime.startContainer('shared', pods.container('shared-b', ['sleep', '1234']));
    const { stdout } = await sh('ps; grep -E "Cap(Eff|Bnd)|^Uid" /proc/1/status; ls /proc/1/root 2>&1', 'shared-b');
    expect(stdout).toContain('sleep 4321');
    expect(stdout).toMatch(/1 65535 .*pause|1 .*pause/);
    expect(stdout).toMatch(/CapEff:\t0+\n/);
    expect(stdout).toContain('Permission denied');
    await runtime.signal('shared-a', 'KILL');
    await pods.exit('shared-a');
    expect((await sh('ps', 'shared-b')).stdout).not.toContain('4321');
    await runtime.removeSandbox('shared');
  });

  test('host network, sysctls of the pod only, limits and statistics', async () => {
    const { runtime } = pods;
    expect((await runtime.runSandbox(pods.sandbox('hostnet', { hostNetwork: true }))).netns).toBe('');
    await runtime.removeSandbox('hostnet');
    await runtime.runSandbox(
      pods.sandbox('tuned', { sysctls: { 'net.ipv4.ip_unprivileged_port_start': '7', 'kernel.shmmni': '99' } }),
    );
    await runtime.startContainer('tuned', pods.container('tuned-c', ['sleep', '1000']));
    const { stdout } = await sh('cat /proc/sys/net/ipv4/ip_unprivileged_port_start /proc/sys/kernel/shmmni', 'tuned-c');
    expect(stdout).toBe('7\n99\n');
    await expect(runtime.runSandbox(pods.sandbox('bad', { sysctls: { 'kernel.panic': '1' } }))).rejects.toMatchObject({
      stage: 'sysctl',
      errno: 'EPERM',
    });
    await runtime.updateContainer('tuned-c', { memory: { limit: 32 << 20, swap: 32 << 20 }, pids: { limit: 50 } });
    const stats = await runtime.stats('tuned');
    expect(stats.containers['tuned-c']!.memoryBytes).toBeGreaterThan(0);
    expect(stats.cpuNanos).toBeGreaterThan(0);
    await runtime.removeSandbox('bad');
    await runtime.removeSandbox('tuned');
  });

  test('pods survive the node core and a new client finds them; the death of a pod process takes its containers along', async () => {
    const { runtime } = pods;
    const { pid } = await runtime.core.request<{ pid: number }>('core.info');
    process.kill(pid, 'SIGKILL');
    while (existsSync(`/proc/${pid}/exe`)) await new Promise(setImmediate);
    expect((await sh('echo alive')).stdout).toBe('alive\n');
    const second = await pods.connect();
    const [adopted] = (await second.list()).filter((s) => s.id === 'pod');
    expect(adopted).toMatchObject({ state: 'ready', annotations: { uid: 'pod' } });
    const idle = adopted!.containers.find((c) => c.id === 'idle')!;
    expect(idle.state).toBe('running');
    expect((await second.execSync('idle', { command: ['true'], timeoutMs: 120_000, maxOutput: 1 })).exitCode).toBe(0);
    await second.runSandbox(pods.sandbox('mortal'));
    const mortal = await second.startContainer('mortal', pods.container('mortal-c', ['sleep', '1000']));
    const died = firstValueFrom(second.events.pipe(filter((e) => e.type === 'sandboxDied')));
    process.kill((await second.list()).find((s) => s.id === 'mortal')!.pid, 'SIGKILL');
    expect(await died).toEqual({ type: 'sandboxDied', sandboxId: 'mortal' });
    while (existsSync(`/proc/${mortal.pid}/exe`)) await new Promise(setImmediate);
    expect((await second.list()).find((s) => s.id === 'mortal')).toMatchObject({ state: 'dead' });
    await second.removeSandbox('mortal');
    second.close();
  });

  test('a pod process that dies while there is no node core is told of, once', async () => {
    const { runtime } = pods;
    await runtime.runSandbox(pods.sandbox('unseen'));
    await runtime.startContainer('unseen', pods.container('unseen-c', ['sleep', '1000']));
    const died: string[] = [];
    const told = runtime.events.subscribe((event) => event.type === 'sandboxDied' && died.push(event.sandboxId));
    const first = firstValueFrom(runtime.events.pipe(filter((event) => event.type === 'sandboxDied')));
    const { pid: core } = await runtime.core.request<{ pid: number }>('core.info');
    const { pid } = (await runtime.list()).find((s) => s.id === 'unseen')!;
    process.kill(core, 'SIGKILL');
    process.kill(pid, 'SIGKILL');
    expect(await first).toEqual({ type: 'sandboxDied', sandboxId: 'unseen' });
    // Nor is it told again when the next core is gone.
    const { pid: next } = await runtime.core.request<{ pid: number }>('core.info');
    process.kill(next, 'SIGKILL');
    while (existsSync(`/proc/${next}/exe`)) await new Promise(setImmediate);
    await runtime.core.request('core.info').catch(() => runtime.core.request('core.info'));
    await runtime.list();
    await runtime.removeSandbox('unseen');
    expect(died).toEqual(['unseen']);
    told.unsubscribe();
  });

  test('what a pod process was writing when it was killed goes with the pod', async () => {
    const { runtime } = pods;
    const files = () => readdirSync(join(pods.dir, 'run/pods')).filter((name) => name.startsWith('torn'));
    const { pid } = await runtime.runSandbox(pods.sandbox('torn'));
    process.kill(pid, 'SIGKILL');
    for (const [id, name] of [
      ['torn', 'torn.json.new'],
      // It was killed before it had a name.
      ['torn-early', 'torn-early.sock'],
    ] as const) {
      writeFileSync(join(pods.dir, 'run/pods', name), '{');
      await runtime.removeSandbox(id);
    }
    expect(files()).toEqual([]);
  });

  test('a host program runs for Node, with its output, in a network namespace when asked', async () => {
    const { core } = pods.runtime;
    const { pid } = (await pods.runtime.list()).find((s) => s.id === 'pod')!;
    const params = {
      args: ['/bin/sh', '-c', 'cat; ls /sys/class/net 2>/dev/null | wc -l >&2; readlink /proc/self/ns/net; exit 3'],
      env: ['PATH=/bin:/usr/bin'],
      stdin: 'in\n',
    };
    const own = await core.request<{ exitCode: number; stdout: string }>('process.run', params);
    expect(own).toMatchObject({ exitCode: 3, stdout: expect.stringMatching(/^in\nnet:\[/) });
    const inside = await core.request<{ stdout: string }>('process.run', { ...params, netns: `/proc/${pid}/ns/net` });
    expect(inside.stdout).not.toBe(own.stdout);
    await expect(core.request('process.run', { args: ['/no/such'], env: [] })).rejects.toMatchObject({
      errno: 'ENOENT',
      object: '/no/such',
    });
    await expect(core.request('no.such.op')).rejects.toMatchObject({ stage: 'protocol', errno: 'ENOSYS' });
  });

  test('nothing leaks: descriptors of the pod process and of the core after many starts', async () => {
    const { runtime } = pods;
    const { pid } = (await runtime.list()).find((s) => s.id === 'pod')!;
    const core = (await runtime.core.request<{ pid: number }>('core.info')).pid;
    const count = () => [readdirSync(`/proc/${pid}/fd`).length, readdirSync(`/proc/${core}/fd`).length];
    const cycle = async (n: number) => {
      await runtime.startContainer('pod', pods.container(`leak-${n}`, ['true']));
      await pods.exit(`leak-${n}`);
      await runtime.removeContainer(`leak-${n}`);
      await (await runtime.exec('idle', { ...exec, command: ['true'] })).exit;
      // An answer on another connection: the end of this one has been seen by then.
      await sh('true');
    };
    await cycle(0);
    const before = count();
    for (let n = 1; n < 8; n++) await cycle(n);
    expect(count()).toEqual(before);
  });

  test('bind mounts are read-only, private or spreading as asked', async () => {
    const { runtime } = pods;
    const host = join(pods.dir, 'volume');
    mkdirSync(join(host, 'sub'), { recursive: true });
    writeFileSync(join(host, 'file'), 'data');
    const mounts = (options: readonly string[]) => (spec: ReturnType<typeof pods.container>['spec']) => ({
      ...spec,
      mounts: [
        ...spec.mounts,
        { destination: '/volume', type: 'bind', source: host, options },
        { destination: '/etc/one/file', type: 'bind', source: join(host, 'file'), options: ['rbind', 'ro'] },
      ],
    });
    const idle = ['sleep', '1000'];
    await runtime.startContainer('pod', pods.container('vol-ro', idle, {}, mounts(['rbind', 'ro', 'rprivate'])));
    expect((await sh('cat /volume/file /etc/one/file; echo x > /volume/new', 'vol-ro')).stdout).toBe('datadata');
    expect((await sh('echo x > /volume/new', 'vol-ro')).stderr).toContain('Read-only');
    await runtime.startContainer('pod', pods.container('vol-rw', idle, {}, mounts(['rbind', 'rw'])));
    expect((await sh('echo new > /volume/new', 'vol-rw')).exitCode).toBe(0);
    expect(readFileSync(join(host, 'new'), 'utf8')).toBe('new\n');
    await expect(
      runtime.startContainer(
        'pod',
        pods.container('vol-bad', idle, {}, (spec) => ({
          ...spec,
          mounts: [...spec.mounts, { destination: '/x', type: 'bind', source: '/no/such/place', options: ['rbind'] }],
        })),
      ),
    ).rejects.toMatchObject({ stage: 'mount', errno: 'ENOENT', object: 'source /no/such/place' });
  });

  test('what a process of another mount namespace has pinned is mounted, and nothing in its place', async () => {
    const { runtime } = pods;
    const host = join(pods.dir, 'pinned');
    mkdirSync(host);
    writeFileSync(join(host, 'file'), 'data');
    const holder = spawn('unshare', ['--mount', 'sh', '-c', `exec 3<${host}; echo held; exec sleep 1000`]);
    await once(holder.stdout, 'data');
    const pinned = (spec: ReturnType<typeof pods.container>['spec']) => ({
      ...spec,
      mounts: [
        ...spec.mounts,
        { destination: '/pinned', type: 'bind', source: `/proc/${holder.pid}/fd/3`, options: ['rbind', 'ro'] },
      ],
    });
    try {
      await runtime.startContainer('pod', pods.container('pinned', ['sleep', '1000'], {}, pinned));
      expect((await sh('cat /pinned/file', 'pinned')).stdout).toBe('data');
      renameSync(host, `${host}.gone`);
      symlinkSync('/etc', host);
      await runtime.startContainer('pod', pods.container('pinned-2', ['sleep', '1000'], {}, pinned));
      expect((await sh('ls /pinned', 'pinned-2')).stdout).toBe('file\n');
    } finally {
      holder.kill();
    }
  });
});
