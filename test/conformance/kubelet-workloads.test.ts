import type { Job, JobSpec, Pod, PodSpec } from '@trimtab/machinery';
import { Jobs, Pods, ReplicaSets, ReplicationControllers, Services, StatefulSets } from '@trimtab/machinery';
import { describeReal, IMAGE, useRealCluster } from './real-cluster.js';

/** Conformance tests of class R about controllers whose pods really run and end, under their own names. */

describeReal('workloads', () => {
  const c = useRealCluster();
  const condition = (job: Job, type: string) =>
    job.status?.conditions?.find((one) => one.type === type && one.status === 'True');
  const container = (script: string, name = 'c') => ({ name, image: IMAGE, command: ['sh', '-c', script] });
  /** A job whose pods run a script of the shell. */
  const job = (script: string, spec: Partial<JobSpec>, pod: Partial<PodSpec> = {}): Promise<Job> =>
    c.create(Jobs, {
      metadata: { name: 'j' },
      spec: {
        ...spec,
        template: {
          spec: { restartPolicy: 'Never', terminationGracePeriodSeconds: 0, containers: [container(script)], ...pod },
        },
      },
    });
  const ended = (type: 'Complete' | 'Failed') =>
    c.until(
      Jobs,
      'j',
      (one) =>
        condition(one, type) !== undefined || condition(one, type === 'Failed' ? 'Complete' : 'Failed') !== undefined,
    );
  const podsOf = async (selector = 'batch.kubernetes.io/job-name=j') =>
    (await c.client.list(Pods, { namespace: c.ns, labelSelector: selector })).items;
  const indexed: Partial<JobSpec> = { completionMode: 'Indexed', completions: 4, parallelism: 2 };
  const key = (name: string) => ({ namespace: c.ns, name });

  describe('[sig-apps] Job', () => {
    test('should create pods for an Indexed job with completion indexes and specified hostname [Conformance]', async () => {
      await job('echo $JOB_COMPLETION_INDEX $(hostname)', { ...indexed, backoffLimit: 6 });
      expect((await ended('Complete')).status).toMatchObject({ succeeded: 4, completedIndexes: '0-3' });
      const said = await Promise.all((await podsOf()).map(({ metadata }) => c.output(metadata.name!, 'c')));
      expect(said.sort()).toEqual([0, 1, 2, 3].map((n) => `${n} j-${n}\n`));
    });

    test('should run a job to completion when tasks sometimes fail and are locally restarted [Conformance]', async () => {
      const tried = { name: 'tried', mountPath: '/tried' };
      const containers = [
        { ...container('[ -e /tried/once ] || { touch /tried/once; exit 1; }'), volumeMounts: [tried] },
      ];
      const volumes = [{ name: 'tried', emptyDir: {} }];
      await job(
        '',
        { completions: 4, parallelism: 2, backoffLimit: 999 },
        { restartPolicy: 'OnFailure', containers, volumes },
      );
      expect((await ended('Complete')).status?.succeeded).toBe(4);
      for (const pod of await podsOf()) expect(pod.status?.containerStatuses?.[0]?.restartCount).toBe(1);
    });

    test('should delete a job [Conformance]', async () => {
      await job('sleep 1000', { parallelism: 2, completions: 4 });
      await c.until(Jobs, 'j', ({ status }) => status?.active === 2 && status.ready === 2);
      await c.client.delete(Jobs, key('j'), { propagationPolicy: 'Foreground' });
      await c.absent(Jobs, 'j');
      expect(await podsOf()).toEqual([]);
    });

    test('should adopt matching orphans and release non-matching pods [Conformance]', async () => {
      await job('sleep 1000', { parallelism: 2, completions: 4, backoffLimit: 6 });
      await c.until(Jobs, 'j', ({ status }) => status?.ready === 2);
      const [pod] = await podsOf();
      const patch = (metadata: object) =>
        c.client.patch(Pods, key(pod!.metadata.name!), { type: 'merge', body: { metadata } });
      await patch({ ownerReferences: null });
      const adopted = await c.until(Pods, pod!.metadata.name!, ({ metadata }) => !!metadata.ownerReferences?.length);
      expect(adopted.metadata.ownerReferences?.[0]).toMatchObject({ kind: 'Job', name: 'j', controller: true });
      await patch({ labels: null });
      await c.until(Pods, pod!.metadata.name!, ({ metadata }) => !metadata.ownerReferences?.length);
    });

    test('should allow to use the pod failure policy on exit code to fail the job early [Conformance]', async () => {
      const rules = [{ action: 'FailJob', onExitCodes: { containerName: 'c', operator: 'In', values: [1] } }];
      await job('exit 1', { backoffLimit: 6, podFailurePolicy: { rules } } as Partial<JobSpec>);
      const failed = await ended('Failed');
      expect(condition(failed, 'Failed')).toMatchObject({
        reason: 'PodFailurePolicy',
        message: expect.stringContaining('exit code 1 matching FailJob rule at index 0'),
      });
      expect(failed.status?.failed).toBe(1);
    });

    test('should allow to use a pod failure policy to ignore failure matching on DisruptionTarget condition [Conformance]', async () => {
      const rules = [{ action: 'Ignore', onPodConditions: [{ type: 'DisruptionTarget', status: 'True' }] }];
      const once = { name: 'once', hostPath: { path: `${c.directory}/once-${c.ns}`, type: 'DirectoryOrCreate' } };
      const script = '[ -e /once/$JOB_COMPLETION_INDEX ] && exit 0; touch /once/$JOB_COMPLETION_INDEX; sleep 1000';
      await job(
        '',
        {
          completionMode: 'Indexed',
          completions: 3,
          parallelism: 2,
          backoffLimit: 0,
          podFailurePolicy: { rules },
        } as Partial<JobSpec>,
        {
          containers: [{ ...container(script), volumeMounts: [{ name: 'once', mountPath: '/once' }] }],
          volumes: [once],
        },
      );
      const indexOf = (pod: Pod) => pod.metadata.labels!['batch.kubernetes.io/job-completion-index']!;
      const evicted = new Set<string>();
      while (evicted.size < 3) {
        const pod = await c.find(Pods, (one) => !evicted.has(indexOf(one)) && one.status?.phase === 'Running');
        const name = pod.metadata.name!;
        evicted.add(indexOf(pod));
        await c.exec(name, ['sh', '-c', `until [ -e /once/${indexOf(pod)} ]; do sleep 0.05; done`], 'c');
        const eviction = { apiVersion: 'policy/v1', kind: 'Eviction', metadata: key(name) };
        await c.client.subresource(Pods, key(name), 'eviction', 'create', eviction as never);
      }
      const complete = await ended('Complete');
      expect(complete.status).toMatchObject({ succeeded: 3, completedIndexes: '0-2' });
      expect(complete.status?.failed ?? 0).toBe(0);
    });

    test('should execute all indexes despite some failing when using backoffLimitPerIndex [Conformance]', async () => {
      await job('exit $(( (JOB_COMPLETION_INDEX + 1) % 2 ))', { ...indexed, backoffLimitPerIndex: 1 });
      const failed = await ended('Failed');
      expect(condition(failed, 'Failed')?.reason).toBe('FailedIndexes');
      expect(failed.status).toMatchObject({ failedIndexes: '0,2', completedIndexes: '1,3', failed: 4, succeeded: 2 });
    });

    test('should terminate job execution when the number of failed indexes exceeds maxFailedIndexes [Conformance]', async () => {
      await job('exit 1', {
        ...indexed,
        completions: 10,
        parallelism: 1,
        backoffLimitPerIndex: 0,
        maxFailedIndexes: 4,
      } as Partial<JobSpec>);
      const failed = await ended('Failed');
      expect(condition(failed, 'Failed')?.reason).toBe('MaxFailedIndexesExceeded');
      expect(failed.status).toMatchObject({ failedIndexes: '0-4' });
      expect(failed.status?.completedIndexes ?? '').toBe('');
    });

    test('should mark indexes as failed when the FailIndex action is matched in podFailurePolicy [Conformance]', async () => {
      const rules = [{ action: 'FailIndex', onExitCodes: { operator: 'In', values: [42] } }];
      await job('[ $JOB_COMPLETION_INDEX = 0 ] && exit 42; exit 0', {
        ...indexed,
        completions: 2,
        backoffLimitPerIndex: 1,
        podFailurePolicy: { rules },
      } as Partial<JobSpec>);
      const failed = await ended('Failed');
      expect(condition(failed, 'Failed')?.reason).toBe('FailedIndexes');
      expect(failed.status).toMatchObject({ failedIndexes: '0', completedIndexes: '1', failed: 1, succeeded: 1 });
    });

    describe('with successPolicy', () => {
      const policy = (rule: object): Partial<JobSpec> =>
        ({ ...indexed, parallelism: 3, successPolicy: { rules: [rule] } }) as Partial<JobSpec>;
      /** Index 0 ends well, the others go on. */
      const first = '[ $JOB_COMPLETION_INDEX = 0 ] && exit 0; sleep 1000';

      test('should succeeded when all indexes succeeded [Conformance]', async () => {
        await job('exit 0', { ...policy({ succeededCount: 4 }) });
        const done = await ended('Complete');
        expect(condition(done, 'SuccessCriteriaMet')?.reason).toMatch(/^(SuccessPolicy|CompletionsReached)$/);
        expect(done.status).toMatchObject({ succeeded: 4, completedIndexes: '0-3' });
      });
      test('succeededIndexes rule should succeeded even when some indexes remain pending [Conformance]', async () => {
        await job(first, policy({ succeededIndexes: '0' }));
        const done = await ended('Complete');
        expect(condition(done, 'SuccessCriteriaMet')?.reason).toBe('SuccessPolicy');
        expect([done.status?.completedIndexes, done.status?.active ?? 0]).toEqual(['0', 0]);
      });
      test('succeededCount rule should succeeded even when some indexes remain pending [Conformance]', async () => {
        await job(first, policy({ succeededCount: 1 }));
        const done = await ended('Complete');
        expect(condition(done, 'SuccessCriteriaMet')?.reason).toBe('SuccessPolicy');
        expect([done.status?.completedIndexes, done.status?.succeeded, done.status?.active ?? 0]).toEqual(['0', 1, 0]);
      });
    });
  });

  describe('[sig-apps] StatefulSet Basic StatefulSet functionality [StatefulSetBasic]', () => {
    test('Should recreate evicted statefulset [Conformance]', async () => {
      const ports = [{ containerPort: 21017, hostPort: 21017 }];
      const labels = { app: 'ss' };
      const spec = { terminationGracePeriodSeconds: 0, nodeName: 'node-a' };
      const holder = { ...container('sleep 1000'), ports };
      await c.create(Pods, { metadata: { name: 'test-pod' }, spec: { ...spec, containers: [holder] } });
      await c.running('test-pod');
      await c.create(Services, {
        metadata: { name: 'test' },
        spec: { clusterIP: 'None', selector: labels, ports: [{ port: 80 }] },
      });
      await c.create(StatefulSets, {
        metadata: { name: 'ss' },
        spec: {
          serviceName: 'test',
          replicas: 1,
          selector: { matchLabels: labels },
          template: { metadata: { labels }, spec: { ...spec, containers: [holder] } },
        },
      });
      const refused = await c.until(Pods, 'ss-0', ({ status }) => status?.phase === 'Failed');
      await c.until(Pods, 'ss-0', ({ metadata }) => metadata.uid !== refused.metadata.uid);
      await c.gone(Pods, 'test-pod', 0);
      const again = await c.until(Pods, 'ss-0', ({ status }) => status?.phase === 'Running');
      expect(again.metadata.uid).not.toBe(refused.metadata.uid);
    });
  });

  test.each([
    ['[sig-apps] ReplicaSet', ReplicaSets],
    ['[sig-apps] ReplicationController', ReplicationControllers],
  ])('%s should serve a basic image on each replica with a public image [Conformance]', async (_, type) => {
    const labels = { name: 'basic' };
    const spec = {
      containers: [container('mkdir /www; hostname > /www/index.html; httpd -f -p 9376 -h /www')],
      terminationGracePeriodSeconds: 0,
    };
    const selector = type.kind === 'ReplicaSet' ? { matchLabels: labels } : labels;
    await c.create(type as typeof ReplicaSets, {
      metadata: { name: 'basic' },
      spec: { replicas: 2, selector, template: { metadata: { labels }, spec } },
    });
    await c.until(type as typeof ReplicaSets, 'basic', ({ status }) => status?.readyReplicas === 2);
    const pods = await podsOf('name=basic');
    expect(pods).toHaveLength(2);
    for (const { metadata } of pods) {
      const ask = ['sh', '-c', 'until wget -q -O - http://localhost:9376/; do sleep 0.05; done 2>/dev/null'];
      expect((await c.exec(metadata.name!, ask, 'c')).text).toBe(`${metadata.name}\n`);
    }
  });
});
