import { mkdir, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import type { Container, ContainerStatus, Pod, PodSpec } from '@trimtab/machinery';
import { Pods, RuntimeClasses } from '@trimtab/machinery';
import { describeReal, HANDLERS, IMAGE, useRealCluster } from './real-cluster.js';

/** Conformance tests of class R about what runs in a container, under their own names. */

describeReal('real containers', () => {
  const c = useRealCluster();
  const status = (pod: Pod, name = 'main'): ContainerStatus =>
    [...(pod.status?.initContainerStatuses ?? []), ...(pod.status?.containerStatuses ?? [])].find(
      (s) => s.name === name,
    )!;
  const ended = (name = 'p') => c.until(Pods, name, (p) => ['Succeeded', 'Failed'].includes(p.status?.phase ?? ''));
  /** The final message of a container that runs this script. */
  async function message(script: string, container: Partial<Container>): Promise<[string, string | undefined]> {
    await c.pod('p', script, container);
    const pod = await ended();
    return [pod.status?.phase ?? '', status(pod).state?.terminated?.message];
  }

  describe('[sig-node] Container Runtime blackbox test', () => {
    const fallback = { terminationMessagePolicy: 'FallbackToLogsOnError' };

    test('on terminated container should report termination message from file when pod succeeds and TerminationMessagePolicy FallbackToLogsOnError is set [NodeConformance] [Conformance]', async () => {
      const script = 'echo -n OK > /dev/termination-log; echo DONE; exit 0';
      expect(await message(script, fallback)).toEqual(['Succeeded', 'OK']);
    });
    test('on terminated container should report termination message as empty when pod succeeds and TerminationMessagePolicy FallbackToLogsOnError is set [NodeConformance] [Conformance]', async () => {
      expect(await message('echo DONE; exit 0', fallback)).toEqual(['Succeeded', undefined]);
    });
    test('on terminated container should report termination message from log output if TerminationMessagePolicy FallbackToLogsOnError is set [NodeConformance] [Conformance]', async () => {
      expect(await message('echo -n DONE; exit 1', fallback)).toEqual(['Failed', 'DONE']);
    });
    test('on terminated container should report termination message if TerminationMessagePath is set as non-root user and at a non-default path [NodeConformance] [Conformance]', async () => {
      const container = { terminationMessagePath: '/dev/termination-custom-log', securityContext: { runAsUser: 1000 } };
      expect(await message('echo -n DONE > /dev/termination-custom-log', container)).toEqual(['Succeeded', 'DONE']);
    });

    test.each([
      ['Always', 'Running', 2],
      ['OnFailure', 'Succeeded', 1],
      ['Never', 'Failed', 0],
    ] as const)(
      'when starting a container that exits should run with the expected status [NodeConformance] [Conformance] (%s)',
      async (restartPolicy, phase, restarts) => {
        // Fails the first time; then ends well, or under Always the second time too and goes on the third.
        const script = `n=$(cat /counts/n 2>/dev/null || echo 0); n=$((n+1)); echo $n > /counts/n
        [ $n = 1 ] && exit 1; ${restartPolicy === 'Always' ? '[ $n = 2 ] && exit 1; sleep 1000' : 'exit 0'}`;
        const volumeMounts = [{ name: 'counts', mountPath: '/counts' }];
        await c.pod('p', script, { volumeMounts }, { restartPolicy, volumes: [{ name: 'counts', emptyDir: {} }] });
        const pod = await c.until(Pods, 'p', (p) => p.status?.phase === phase && status(p).restartCount === restarts);
        expect(status(pod).ready).toBe(phase === 'Running');
        const state = phase === 'Running' ? 'running' : 'terminated';
        expect(status(pod).state).toHaveProperty(state);
      },
    );
  });

  describe('[sig-node] Containers', () => {
    beforeAll(() => {
      c.configs.set('entry:1', { Entrypoint: ['echo', 'entry'], Cmd: ['default', 'arguments'] });
    });
    const says = async (container: Partial<Container>): Promise<string> => {
      const main = { name: 'main', image: 'entry:1', ...container };
      await c.create(Pods, { metadata: { name: 'p' }, spec: { restartPolicy: 'Never', containers: [main] } });
      return c.output('p');
    };

    test('should use the image defaults if command and args are blank [NodeConformance] [Conformance]', async () => {
      expect(await says({})).toBe('entry default arguments\n');
    });
    test("should be able to override the image's default arguments (container cmd) [NodeConformance] [Conformance]", async () => {
      expect(await says({ args: ['override', 'arguments'] })).toBe('entry override arguments\n');
    });
    test("should be able to override the image's default command (container entrypoint) [NodeConformance] [Conformance]", async () => {
      expect(await says({ command: ['echo', 'other'] })).toBe('other\n');
    });
    test("should be able to override the image's default command and arguments [NodeConformance] [Conformance]", async () => {
      expect(await says({ command: ['echo', 'other'], args: ['override', 'arguments'] })).toBe(
        'other override arguments\n',
      );
    });
  });

  describe('[sig-node] Kubelet', () => {
    test('when scheduling a busybox command in a pod should print the output to logs [NodeConformance] [Conformance]', async () => {
      await c.pod('p', "echo 'Hello World' ; sleep 0.1");
      expect(await c.output('p')).toBe('Hello World\n');
    });
    test('when scheduling a busybox command that always fails in a pod should have an terminated reason [NodeConformance] [Conformance]', async () => {
      await c.pod('p', 'exit 1');
      expect(status(await ended()).state?.terminated?.reason).toBe('Error');
    });
    test('when scheduling a busybox command that always fails in a pod should be possible to delete [NodeConformance] [Conformance]', async () => {
      await c.pod('p', 'exit 1', {}, { restartPolicy: 'Always' });
      await c.until(Pods, 'p', (p) => (status(p)?.restartCount ?? 0) > 0);
      await c.gone(Pods, 'p');
    });
    test('when scheduling an agnhost Pod with hostAliases should write entries to /etc/hosts [NodeConformance] [Conformance]', async () => {
      const hostAliases = [{ ip: '123.45.67.89', hostnames: ['foo', 'bar'] }];
      await c.pod('p', 'cat /etc/hosts', {}, { hostAliases });
      expect(await c.output('p')).toContain('123.45.67.89\tfoo\tbar');
    });
    test('when scheduling a read only busybox container should not write to root filesystem [LinuxOnly] [NodeConformance] [Conformance]', async () => {
      const script = 'echo test > /file; sleep 0.1; exit $([ -e /file ] && echo 1 || echo 0)';
      await c.pod('p', script, { securityContext: { readOnlyRootFilesystem: true } });
      expect(await c.output('p')).toContain("can't create /file: Read-only file system");
    });
  });

  test('[sig-node] KubeletManagedEtcHosts should test kubelet managed /etc/hosts file [NodeConformance] [Conformance]', async () => {
    const read = 'head -n 1 /etc/hosts; sleep 1000';
    const own = [{ name: 'own', mountPath: '/etc/hosts' }];
    const volumes = [{ name: 'own', hostPath: { path: '/etc/hosts', type: 'File' } }];
    await c.pod(
      'p',
      read,
      {},
      {
        volumes,
        containers: ['main', 'other'].map((name) => ({
          name,
          image: IMAGE,
          command: ['sh', '-c', read],
          ...(name === 'other' ? { volumeMounts: own } : {}),
        })),
      },
    );
    await c.pod('host', read, {}, { hostNetwork: true });
    await Promise.all(['p', 'host'].map((name) => c.running(name)));
    const first = async (pod: string, container?: string) =>
      (await c.exec(pod, ['head', '-n', '1', '/etc/hosts'], container)).text;
    expect(await first('p')).toBe('# Kubernetes-managed hosts file.\n');
    expect(await first('p', 'other')).not.toContain('Kubernetes-managed');
    expect(await first('host')).toBe('# Kubernetes-managed hosts file (host network).\n');
  });

  describe('[sig-node] InitContainer [NodeConformance]', () => {
    const init = (name: string, script: string): Container => ({ name, image: IMAGE, command: ['sh', '-c', script] });
    const condition = (pod: Pod, type: string) => pod.status?.conditions?.find((one) => one.type === type)?.status;

    test('should invoke init containers on a RestartNever pod [Conformance]', async () => {
      await c.pod('p', 'true', {}, { initContainers: [init('init1', 'true'), init('init2', 'true')] });
      const pod = await ended();
      expect([pod.status?.phase, condition(pod, 'Initialized')]).toEqual(['Succeeded', 'True']);
      for (const name of ['init1', 'init2'])
        expect(status(pod, name)).toMatchObject({ ready: true, state: { terminated: { exitCode: 0 } } });
    });
    test('should invoke init containers on a RestartAlways pod [Conformance]', async () => {
      await c.pod(
        'p',
        'sleep 1000',
        {},
        { restartPolicy: 'Always', initContainers: [init('init1', 'true'), init('init2', 'true')] },
      );
      const pod = await c.running('p');
      for (const name of ['init1', 'init2']) expect(status(pod, name).state?.terminated?.exitCode).toBe(0);
      expect(status(pod).state?.running).toBeDefined();
    });
    test('should not start app containers if init containers fail on a RestartAlways pod [Conformance]', async () => {
      const initContainers = [init('init1', 'false'), init('init2', 'true')];
      await c.pod('p', 'sleep 1000', {}, { restartPolicy: 'Always', initContainers });
      const pod = await c.until(Pods, 'p', (p) => (status(p, 'init1')?.restartCount ?? 0) >= 2);
      expect([pod.status?.phase, condition(pod, 'Initialized')]).toEqual(['Pending', 'False']);
      expect(pod.status?.conditions?.find(({ type }) => type === 'Initialized')?.reason).toBe(
        'ContainersNotInitialized',
      );
      for (const name of ['init2', 'main']) expect(status(pod, name).state?.waiting?.reason).toBe('PodInitializing');
    });
    test('should not start app containers and fail the pod if init containers fail on a RestartNever pod [Conformance]', async () => {
      await c.pod('p', 'true', {}, { initContainers: [init('init1', 'true'), init('init2', 'false')] });
      const pod = await ended();
      expect(pod.status?.phase).toBe('Failed');
      expect(status(pod, 'init2').state?.terminated?.exitCode).toBe(1);
      expect(status(pod).state?.running).toBeUndefined();
    });
  });

  describe('[sig-node] Ephemeral Containers [NodeConformance]', () => {
    const add = async (...names: string[]): Promise<void> => {
      const ephemeralContainers = names.map((name) => ({
        name,
        image: IMAGE,
        command: ['sh', '-c', 'echo polo; sleep 1000'],
      }));
      const key = { namespace: c.ns, name: 'p' };
      const body = { spec: { ephemeralContainers } };
      await c.client.patch(Pods, key, { type: 'strategic', body }, { subresource: 'ephemeralcontainers' });
    };
    const running = (...names: string[]) =>
      c.until(Pods, 'p', (p) =>
        names.every((name) => p.status?.ephemeralContainerStatuses?.find((s) => s.name === name)?.state?.running),
      );

    test('will start an ephemeral container in an existing pod [Conformance]', async () => {
      await c.pod('p', 'sleep 1000');
      await c.running('p');
      await add('debugger');
      await running('debugger');
      expect(await c.exec('p', ['echo', 'marco'], 'debugger')).toEqual({ text: 'marco\n', code: 0 });
    });
    test('should update the ephemeral containers in an existing pod [Conformance]', async () => {
      await c.pod('p', 'sleep 1000');
      await c.running('p');
      await add('debugger1');
      await running('debugger1');
      await add('debugger1', 'debugger2');
      await running('debugger1', 'debugger2');
    });
  });

  describe('[sig-node] Security Context', () => {
    const output = async (
      script: string,
      securityContext: Container['securityContext'],
      spec: Partial<PodSpec> = {},
    ) => {
      await c.pod('p', script, securityContext ? { securityContext } : {}, spec);
      return c.output('p');
    };

    test('When creating a container with runAsUser should run the container with uid 65534 [LinuxOnly] [NodeConformance] [Conformance]', async () => {
      expect(await output('id -u', { runAsUser: 65534 })).toBe('65534\n');
    });
    test('should support pod.Spec.SecurityContext.RunAsUser And pod.Spec.SecurityContext.RunAsGroup [LinuxOnly] [Conformance]', async () => {
      expect(await output('id', undefined, { securityContext: { runAsUser: 1001, runAsGroup: 2002 } })).toContain(
        'uid=1001 gid=2002',
      );
    });
    test('should support container.SecurityContext.RunAsUser And container.SecurityContext.RunAsGroup [LinuxOnly] [Conformance]', async () => {
      const spec = { securityContext: { runAsUser: 1001, runAsGroup: 2002 } };
      expect(await output('id', { runAsUser: 1002, runAsGroup: 2003 }, spec)).toContain('uid=1002 gid=2003');
    });
    test('When creating a pod with readOnlyRootFilesystem should run the container with writable rootfs when readOnlyRootFilesystem=false [NodeConformance] [Conformance]', async () => {
      expect(await output('touch checkfile && echo written', { readOnlyRootFilesystem: false })).toBe('written\n');
    });
    test('When creating a pod with privileged should run the container as unprivileged when false [LinuxOnly] [NodeConformance] [Conformance]', async () => {
      expect(await output('ip link add dummy1 type dummy || true', { privileged: false })).toContain(
        'RTNETLINK answers: Operation not permitted',
      );
    });
    test('when creating containers with AllowPrivilegeEscalation should not allow privilege escalation when false [LinuxOnly] [NodeConformance] [Conformance]', async () => {
      const context = { allowPrivilegeEscalation: false, runAsUser: 1000 };
      expect(await output('grep NoNewPrivs /proc/self/status; id -u', context)).toBe('NoNewPrivs:\t1\n1000\n');
    });
  });

  describe('[sig-node] Sysctls [LinuxOnly] [NodeConformance]', () => {
    const sysctls = (name: string) => ({ securityContext: { sysctls: [{ name, value: '1' }] } });

    test('should support sysctls [Environment:NotInUserNS] [Conformance]', async () => {
      await c.pod('p', 'cat /proc/sys/kernel/shm_rmid_forced', {}, sysctls('kernel.shm_rmid_forced'));
      expect(await c.output('p')).toBe('1\n');
    });
    test('should reject invalid sysctls [Conformance]', async () => {
      for (const name of ['foo-', 'kernel.shmmax.', 'safe-and-unsafe', 'kernel..x'])
        await expect(c.pod('p', 'true', {}, sysctls(name.replace('safe-and-unsafe', 'Bad!')))).rejects.toThrow(
          'spec.securityContext.sysctls',
        );
    });
    test('should not launch unsafe, but not explicitly enabled sysctls on the node [MinimumKubeletVersion:1.21]', async () => {
      await c.pod('p', 'true', {}, sysctls('kernel.msgmax'));
      expect((await c.event('p', 'SysctlForbidden')).message).toContain('forbidden sysctl: "kernel.msgmax"');
    });
  });

  describe('what no conformance test asks for', () => {
    const running = (pod: Pod) => status(pod)?.state?.running !== undefined;

    test('a seccomp profile of the node confines who asks for it; one that is not there is told of', async () => {
      const directory = join(c.directory, 'root/seccomp');
      await mkdir(directory, { recursive: true });
      const rules = [{ names: ['mkdir', 'mkdirat'], action: 'SCMP_ACT_ERRNO', errnoRet: 1 }];
      await writeFile(
        join(directory, 'no-mkdir.json'),
        JSON.stringify({ defaultAction: 'SCMP_ACT_ALLOW', syscalls: rules }),
      );
      const asking = (localhostProfile: string) => ({
        securityContext: { seccompProfile: { type: 'Localhost', localhostProfile } },
      });
      await c.pod('p', 'mkdir /x 2>&1; touch /y && echo touched', {}, asking('no-mkdir.json'));
      expect(await c.output('p')).toBe("mkdir: can't create directory '/x': Operation not permitted\ntouched\n");
      await c.pod('absent', 'true', {}, asking('absent.json'));
      expect((await c.event('absent', 'Failed')).message).toContain('cannot load seccomp profile');
    });

    test('variables come from a file that an init container wrote', async () => {
      const volumeMounts = [{ name: 'config', mountPath: '/config' }];
      const init = {
        name: 'init',
        image: IMAGE,
        command: ['sh', '-c', "echo COLOR=\\'dark green\\' > /config/env"],
        volumeMounts,
      };
      const fileKeyRef = { volumeName: 'config', path: 'env', key: 'COLOR' };
      await c.pod(
        'p',
        'echo $COLOR',
        { env: [{ name: 'COLOR', valueFrom: { fileKeyRef } }] },
        { initContainers: [init], volumes: [{ name: 'config', emptyDir: {} }] },
      );
      expect(await c.output('p')).toBe('dark green\n');
    });

    test('containers of a pod that shares its processes see each other; the stop signal is theirs to choose', async () => {
      const script = 'trap "echo usr1; exit 0" USR1; while :; do sleep 0.05; done';
      const other = { name: 'other', image: IMAGE, command: ['sleep', '4242'] };
      const main = { name: 'main', image: IMAGE, command: ['sh', '-c', script], lifecycle: { stopSignal: 'SIGUSR1' } };
      await c.pod('p', '', {}, { os: { name: 'linux' }, shareProcessNamespace: true, containers: [main, other] });
      await c.until(Pods, 'p', (pod) => running(pod) && status(pod, 'other').state?.running !== undefined);
      expect((await c.exec('p', ['ps', '-o', 'args'])).text).toContain('sleep 4242');
      const p = await c.running('p');
      expect(status(p)).toMatchObject({ user: { linux: { uid: 0, gid: 0 } }, stopSignal: 'SIGUSR1' });
      expect(status(p, 'other').stopSignal).toBe('SIGTERM');
      await c.gone(Pods, 'p', 5);
    });

    test("a pod on the node's network bears the node's name", async () => {
      await c.pod('p', 'hostname; cat /etc/hostname; echo $HOSTNAME', {}, { hostNetwork: true });
      expect(await c.output('p')).toBe(`${hostname()}\n`.repeat(3));
    });

    test('an exit code of a rule begins the whole pod anew, in its sandbox', async () => {
      const volumeMounts = [{ name: 'counts', mountPath: '/counts' }];
      const init = { name: 'init', image: IMAGE, command: ['sh', '-c', 'echo x >> /counts/init'], volumeMounts };
      const restartPolicyRules = [{ action: 'RestartAllContainers', exitCodes: { operator: 'In', values: [88] } }];
      const script = '[ $(wc -l < /counts/init) -ge 3 ] && sleep 1000; exit 88';
      await c.pod(
        'p',
        script,
        { volumeMounts, restartPolicy: 'Never', restartPolicyRules },
        { initContainers: [init], volumes: [{ name: 'counts', emptyDir: {} }] },
      );
      const pod = await c.until(Pods, 'p', (one) => running(one) && status(one).restartCount === 2);
      expect(status(pod, 'init').restartCount).toBe(2);
    });
  });

  describe('RuntimeClass', () => {
    test.each(HANDLERS.map(({ name }) => name))('a pod runs with %s as its handler', async (handler) => {
      await c.client.create(RuntimeClasses, {
        apiVersion: 'node.k8s.io/v1',
        kind: 'RuntimeClass',
        metadata: { name: handler },
        handler,
      });
      const script =
        'cat /proc/self/attr/current 2>/dev/null; echo $COLOR from $(hostname); cat /data/file; id -u; trap "exit 4" TERM; while :; do sleep 0.05; done';
      const volumeMounts = [{ name: 'data', mountPath: '/data' }];
      const seed = { name: 'seed', image: IMAGE, command: ['sh', '-c', 'echo seeded > /data/file'], volumeMounts };
      const readinessProbe = { exec: { command: ['test', '-e', '/data/file'] }, periodSeconds: 1, timeoutSeconds: 60 };
      await c.pod(
        'p',
        script,
        {
          env: [{ name: 'COLOR', value: 'green' }],
          volumeMounts,
          readinessProbe,
          securityContext: { runAsUser: 1000 },
          resources: { limits: { memory: '64Mi' } },
        },
        {
          runtimeClassName: handler,
          initContainers: [seed],
          volumes: [{ name: 'data', emptyDir: {} }],
          restartPolicy: 'OnFailure',
        },
      );
      await c.until(Pods, 'p', (p) => status(p)?.ready === true);
      await c.said('p', 'green from p\nseeded\n1000\n');
      expect(await c.exec('p', ['sh', '-c', 'id -u; exit 3'])).toEqual({ text: '1000\n', code: 3 });
      await c.restartKubelet();
      expect((await c.exec('p', ['echo', 'still here'])).text).toBe('still here\n');
      await c.gone(Pods, 'p');
    });
    test('a handler that the node does not have is told of', async () => {
      await c.client.create(RuntimeClasses, {
        apiVersion: 'node.k8s.io/v1',
        kind: 'RuntimeClass',
        metadata: { name: 'kata' },
        handler: 'kata',
      });
      await c.pod('p', 'true', {}, { runtimeClassName: 'kata' });
      expect((await c.event('p', 'FailedCreatePodSandBox')).message).toBe(
        'Failed to create pod sandbox: no runtime for "kata" is configured',
      );
    });
  });
});
