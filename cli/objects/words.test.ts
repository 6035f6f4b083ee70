import { type Event, invalid, notFound, StatusError, serviceUnavailable } from '@trimtab/machinery';
import { outcome } from './apply.js';
import { Catalogue } from './catalogue.js';
import { columnLines } from './columns.js';
import { isMet, parseAwaited } from './condition.js';
import { blockLines } from './describe/block.js';
import { eventsEntry } from './describe/events.js';
import { titleOf } from './describe/generic.js';
import { describePod } from './describe/pod.js';
import { describeService } from './describe/service.js';
import { errorText, fieldSteps } from './error-text.js';
import { inOrder, inOrderOfDeletion, manifestsOf } from './manifest.js';
import { containerOf, firstPod, podSelectorOf } from './pod-choice.js';
import { kubeconfigFile } from './session.js';
import { TableWriter } from './table-text.js';
import { targetsOf } from './targets.js';

/** The pure half: words in, words out. */

const list = (groupVersion: string, ...resources: readonly [string, string, string[]?, string[]?][]) => ({
  groupVersion,
  resources: resources.map(([name, kind, shortNames = [], categories = []]) => ({
    name,
    kind,
    namespaced: true,
    shortNames,
    categories,
    verbs: ['get', 'list'],
  })),
});

const catalogue = new Catalogue([
  list(
    'v1',
    ['pods', 'Pod', ['po'], ['all']],
    ['pods/log', 'Pod'],
    ['events', 'Event', ['ev']],
    ['services', 'Service', ['svc'], ['all']],
  ),
  list('events.k8s.io/v1', ['events', 'Event', ['ev']]),
  list('apps/v1', ['deployments', 'Deployment', ['deploy'], ['all']]),
  list('apps/v1beta1', ['deployments', 'Deployment', ['deploy'], ['all']]),
  list('sea.example/v1', ['pos', 'Po', ['po', 'svc']]),
]);

describe('resources', () => {
  const found = (word: string): string => {
    const type = catalogue.find(word)?.type;
    return type ? `${type.group}/${type.version}/${type.resource}` : '';
  };

  test('are found by every word for them; full names before short ones, core and preferred versions first', () => {
    expect(['pods', 'pod', 'POD', 'pods.v1.'].map(found)).toEqual(['/v1/pods', '/v1/pods', '/v1/pods', '/v1/pods']);
    expect(found('po')).toBe('sea.example/v1/pos');
    expect(found('svc')).toBe('/v1/services');
    expect(found('svc.sea.example')).toBe('sea.example/v1/pos');
    expect(found('ev')).toBe('/v1/events');
    expect(found('events.events.k8s.io')).toBe('events.k8s.io/v1/events');
    expect(found('deploy')).toBe('apps/v1/deployments');
    expect(found('deployments.v1beta1.apps')).toBe('apps/v1beta1/deployments');
    expect(found('log')).toBe('');
    expect(catalogue.kind('apps/v1beta1', 'Deployment')?.type.version).toBe('v1beta1');
  });

  test('and objects by every form of naming them', () => {
    const read = (word: string, ...names: string[]) =>
      targetsOf(catalogue, word, names).map(({ resource, names: given }) =>
        [resource.type.resource, ...given].join(' '),
      );
    expect(read('pods,svc', 'a')).toEqual(['pods a', 'services a']);
    expect(read('all')).toEqual(['pods', 'services', 'deployments']);
    expect(read('pod/a', 'pod/b', 'deploy/c', 'pod/d')).toEqual(['pods a b', 'deployments c', 'pods d']);
    expect(() => read('pod', 'svc/a')).toThrow('"pod" is not kind/name');
    expect(() => read('pod/a/b')).toThrow('"pod/a/b" is not kind/name');
    expect(() => read('pod/')).toThrow('"pod/" is not kind/name');
    expect(() => read('pods,ships')).toThrow('the server doesn\'t have a resource type "ships"');
  });
});

describe('errors', () => {
  test('read as kubectl’s, with the place of each field', () => {
    const place = (field: string) => (field.startsWith('spec') ? 'app.yaml:7' : undefined);
    expect(errorText(notFound({ group: 'apps', resource: 'deployments' }, 'x'))).toBe(
      'Error from server (NotFound): deployments.apps "x" not found',
    );
    const cause = (field: string) => ({ field, message: 'Required value' });
    expect(errorText(invalid({ group: '', kind: 'Pod' }, 'p', [cause('spec.a'), cause('metadata.b')]), place)).toBe(
      'The Pod "p" is invalid:\n* spec.a: Required value (app.yaml:7)\n* metadata.b: Required value',
    );
    expect(errorText(new StatusError({ code: 500, message: 'boom' }))).toBe('Error from server: boom');
    expect(errorText(serviceUnavailable('cannot reach https://x: refused'))).toMatch(
      /^error: cannot reach .*\n.*trimtab up$/,
    );
    expect(errorText(new TypeError('a bug'))).toBeUndefined();
  });

  test('fields are found in a document, elements by index or by key', () => {
    const value = {
      spec: {
        ports: [
          { port: 80, protocol: 'TCP' },
          { port: 53, protocol: 'UDP' },
        ],
      },
    };
    expect(fieldSteps('spec.ports[1].port', value)).toEqual(['spec', 'ports', 1, 'port']);
    expect(fieldSteps('spec.ports[port=53,protocol="UDP"].name', value)).toEqual(['spec', 'ports', 1, 'name']);
    expect(fieldSteps('metadata.labels[a.b/c]', value)).toEqual(['metadata', 'labels', 'a.b/c']);
  });
});

describe('manifests', () => {
  test('lists are opened, and lines are those of the file', () => {
    const text =
      '# a comment\nkind: ConfigMapList\napiVersion: v1\nitems:\n- apiVersion: v1\n  kind: ConfigMap\n  metadata:\n    name: a\n  data:\n    k: v\n';
    const [manifest] = manifestsOf(text, 'maps.yaml');
    expect(manifest?.object.metadata.name).toBe('a');
    expect(manifest?.place('data.k')).toBe('maps.yaml:10');
    expect(manifest?.place('data.missing')).toBe('maps.yaml:9');
    expect(() => manifestsOf('- a\n', 'x.yaml')).toThrow(
      'x.yaml:1: an object with apiVersion, kind and metadata is expected',
    );
    expect(() => manifestsOf('apiVersion: v1\nkind: 3\n', 'x.yaml')).toThrow('x.yaml:2: kind must be a text');
    expect(() => manifestsOf('apiVersion: v1\nkind: Pod\n', 'x.yaml')).toThrow('x.yaml:1: Pod has no metadata');
  });

  test('what others stand on comes first and goes last', () => {
    const kinds = ['Pod', 'Namespace', 'Service', 'CustomResourceDefinition'];
    const text = kinds.map((kind) => `apiVersion: v1\nkind: ${kind}\nmetadata: {name: x}\n`).join('---\n');
    const manifests = manifestsOf(text, 'x');
    const order = (all: typeof manifests) => all.map(({ object }) => object.kind.slice(0, 3)).join();
    expect(order(inOrder(manifests))).toBe('Nam,Cus,Pod,Ser');
    expect(order(inOrderOfDeletion(manifests))).toBe('Pod,Ser,Cus,Nam');
  });

  test('only what was asked for counts as a change', () => {
    const base = { metadata: { name: 'a', uid: '1', resourceVersion: '1' }, spec: { replicas: 1 } };
    const later = { ...base, metadata: { ...base.metadata, resourceVersion: '2' }, status: { replicas: 1 } };
    expect(outcome(undefined, base)).toBe('created');
    expect(outcome(base, later)).toBe('unchanged');
    expect(outcome(base, { ...later, spec: { replicas: 2 } } as typeof later)).toBe('configured');
    expect(outcome(base, { ...base, metadata: { ...base.metadata, uid: '2' } })).toBe('created');
  });
});

describe('conditions', () => {
  test('of an older spec do not count', () => {
    const ready = parseAwaited('condition=Ready');
    const object = (generation: number, observedGeneration: number) => ({
      metadata: { generation },
      status: { observedGeneration, conditions: [{ type: 'Ready', status: 'True' }] },
    });
    expect(isMet(ready, object(2, 2))).toBe(true);
    expect(isMet(ready, object(2, 1))).toBe(false);
    expect(isMet(ready, undefined)).toBe(false);
    expect(isMet(parseAwaited('condition=Ready=Unknown'), object(1, 1))).toBe(false);
  });

  test('paths lead to a value, or to any value at all', () => {
    const service = { metadata: {}, status: { loadBalancer: { ingress: [{ ip: '1.2.3.4' }] } } };
    const met = (text: string) => isMet(parseAwaited(text), service);
    expect(met('jsonpath={.status.loadBalancer.ingress[0].ip}=1.2.3.4')).toBe(true);
    expect(met('jsonpath={.status.loadBalancer.ingress}')).toBe(true);
    expect(met('jsonpath={.status.missing}')).toBe(false);
    expect(() => parseAwaited('jsonpath={.a[')).toThrow();
    expect(() => parseAwaited('condition=')).toThrow('what can be waited for');
  });
});

describe('pods', () => {
  const pod = (name: string, phase: string, more: object = {}) => ({
    metadata: { name, ...more },
    spec: { containers: [{ name: 'a' }, { name: 'b' }], initContainers: [{ name: 'i' }] },
    status: { phase },
  });

  test('are chosen by what they are able to tell', () => {
    const going = pod('going', 'Running', { deletionTimestamp: '2026-01-01T00:00:00Z' });
    expect(firstPod([pod('waits', 'Pending'), going, pod('runs', 'Running')])?.metadata.name).toBe('runs');
    expect(firstPod([])).toBeUndefined();
    const annotations = { 'kubectl.kubernetes.io/default-container': 'b' };
    expect(containerOf(pod('p', 'Running', { annotations }), undefined)).toEqual({ name: 'b' });
    expect(containerOf(pod('p', 'Running'), 'i')).toEqual({ name: 'i' });
    expect(podSelectorOf({ metadata: {}, spec: { selector: { app: 'web' } } } as never)).toBe('app=web');
    expect(podSelectorOf({ metadata: {} })).toBeUndefined();
  });
});

describe('text', () => {
  test('columns stand below one another, in later writes too', () => {
    expect(
      columnLines([
        ['A', 'LONG-HEADER', 'C'],
        ['some name', 'x', ''],
      ]),
    ).toEqual(['A           LONG-HEADER   C', 'some name   x             ']);
    const column = { name: 'Name', type: 'string', format: 'name', description: '', priority: 0 };
    const hidden = { ...column, name: 'Hidden', format: '', priority: 1 };
    const age = { ...column, name: 'Age', format: '' };
    const table = (...names: (string | null)[]) => ({
      columnDefinitions: [column, hidden, age],
      rows: names.map((name) => ({ cells: [name, 'h', 1], object: { metadata: { namespace: 'n' } } })),
    });
    const writer = new TableWriter({ wide: false, namespaces: true, kind: 'pod' });
    expect(writer.lines(table('a'))).toEqual(['NAMESPACE   NAME    AGE', 'n           pod/a   1']);
    expect(writer.lines(table('longer'))).toEqual(['n           pod/longer   1']);
    expect(writer.lines(table('b'))).toEqual(['n           pod/b        1']);
    const wide = new TableWriter({ wide: true, namespaces: false });
    expect(wide.lines(table('two\nlines', 'esc\u001b[31m', null)).slice(1)).toEqual([
      'two...        h        1',
      'esc\\x1b[31m   h        1',
      '              h        1',
    ]);
  });

  test('values of a block stand in one column, and what is missing is said to be', () => {
    const lines = blockLines([
      { label: 'Name', value: 'x' },
      { label: 'Labels', value: ['a=b', 'c=d'] },
      { label: 'Spec', inner: [{ label: 'Deep', inner: [] }] },
      { label: 'Things', table: { header: ['Type', 'Is'], rows: [['Ready', 'True']] } },
      { label: 'Events', table: { header: ['Type'], rows: [] } },
    ]);
    expect(lines).toEqual([
      'Name:    x',
      'Labels:  a=b',
      '         c=d',
      'Spec:',
      '  Deep:  <none>',
      'Things:',
      '  Type    Is',
      '  ----    --',
      '  Ready   True',
      'Events:  <none>',
    ]);
    expect(['clusterIPs', 'lastTransitionTime', 'podIP', 'sails'].map(titleOf)).toEqual([
      'Cluster IPs',
      'Last Transition Time',
      'Pod IP',
      'Sails',
    ]);
  });

  test('a crashing container tells why it ended, and where its settings come from', () => {
    const terminated = {
      exitCode: 137,
      reason: 'OOMKilled',
      startedAt: '2026-01-01T00:00:00Z',
      finishedAt: '2026-01-01T00:01:00Z',
    };
    const waiting = { reason: 'CrashLoopBackOff', message: 'back-off 10s' };
    const text = blockLines(
      describePod(
        {
          metadata: {
            name: 'p',
            namespace: 'n',
            deletionTimestamp: '2026-01-01T00:02:00Z',
            deletionGracePeriodSeconds: 30,
          },
          spec: {
            containers: [
              {
                name: 'main',
                image: 'x',
                env: [
                  { name: 'A', value: 'b' },
                  { name: 'P', valueFrom: { secretKeyRef: { name: 's', key: 'k' } } },
                  { name: 'IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } },
                ],
                envFrom: [{ configMapRef: { name: 'c' }, prefix: 'C_' }],
                livenessProbe: { httpGet: { path: '/healthz', port: 80 }, periodSeconds: 5 },
              },
            ],
          },
          status: {
            phase: 'Running',
            conditions: [
              {
                type: 'Ready',
                status: 'False',
                reason: 'ContainersNotReady',
                message: 'containers with unready status: [main]',
              },
            ],
            containerStatuses: [
              {
                name: 'main',
                image: 'x',
                imageID: '',
                ready: false,
                restartCount: 4,
                state: { waiting },
                lastState: { terminated },
              },
            ],
          },
        },
        [],
        Date.parse('2026-01-01T00:03:00Z'),
      ),
    ).join('\n');
    for (const said of [
      /Status: +Terminating\n/,
      /Termination Grace Period: +30s/,
      /State: +Waiting\n +Reason: +CrashLoopBackOff\n +Message: +back-off 10s\n/,
      /Last State: +Terminated\n +Reason: +OOMKilled\n +Exit Code: +137\n/,
      /Finished: +Thu, 01 Jan 2026 00:01:00 \+0000/,
      /Liveness: +http-get http:\/\/:80\/healthz delay=0s timeout=1s period=5s #success=1 #failure=3/,
      /Environment Variables from: +c ConfigMap with prefix 'C_' Optional: false/,
      /Environment: +A: b\n +P: <set to the key 'k' in secret 's'> Optional: false\n +IP: \(v1:status\.podIP\)/,
      /Ready {3}False +ContainersNotReady: containers with unready status: \[main\]/,
    ])
      expect(text).toMatch(said);
  });

  test('a service shows the first ready addresses of each of its ports', () => {
    const service = {
      metadata: { name: 's', namespace: 'n' },
      spec: {
        type: 'NodePort',
        ports: [
          { name: 'web', port: 80, targetPort: 'http', nodePort: 30080 },
          { name: 'dns', port: 53, protocol: 'UDP' },
        ],
      },
    };
    const endpoints = ['1', '2', '3', '4'].map((n) => ({
      addresses: [`10.0.0.${n}`],
      conditions: { ready: n !== '1' },
    }));
    const slice = {
      metadata: {},
      addressType: 'IPv4',
      endpoints: [...endpoints, { addresses: ['fd00::1'] }],
      ports: [{ name: 'web', port: 8080 }],
    };
    const lines = blockLines(describeService(service, [slice], [], 0)).map((line) => line.replace(/ {2,}/g, ' '));
    expect(lines).toContain('Endpoints: 10.0.0.2:8080,10.0.0.3:8080,10.0.0.4:8080 + 1 more...');
    expect(lines).toContain('NodePort: web 30080/TCP');
    expect(lines.indexOf('Endpoints: <none>')).toBe(lines.indexOf('TargetPort: 53/UDP') + 1);
  });

  test('events in the order they were last seen', () => {
    const event = (reason: string, lastTimestamp: string, count: number): Event => ({
      metadata: {},
      involvedObject: {},
      type: 'Normal',
      reason,
      count,
      firstTimestamp: '2026-01-01T00:00:00Z',
      lastTimestamp,
      message: ' several\n lines ',
      reportingComponent: 'kubelet',
    });
    const events = [event('Late', '2026-01-01T00:09:00Z', 5), event('Early', '2026-01-01T00:01:00Z', 1)];
    const [, , , early, late] = blockLines([eventsEntry(events, Date.parse('2026-01-01T00:10:00Z'))]);
    expect(early).toMatch(/Normal {3}Early +9m +kubelet +several lines$/);
    expect(late).toMatch(/Normal {3}Late +60s \(x5 over 10m\) +kubelet/);
  });
});

test('the kubeconfig is that of the option, the environment, the data directory, then the home', () => {
  const find = (option: string | undefined, KUBECONFIG: string | undefined, ...there: string[]) =>
    kubeconfigFile(option, { environment: { KUBECONFIG }, dataDir: '/data', home: '/home/me' }, (file) =>
      there.includes(file),
    );
  const home = '/home/me/.kube/config';
  expect(find('/given', '/env', '/env', '/data/kubeconfig')).toBe('/given');
  expect(find(undefined, '/gone:/env', '/env', '/data/kubeconfig')).toBe('/env');
  expect(find(undefined, '/gone', '/data/kubeconfig')).toBe('/gone');
  expect(find(undefined, '', '/data/kubeconfig', home)).toBe('/data/kubeconfig');
  expect(find(undefined, undefined, home)).toBe(home);
  expect(() => find(undefined, undefined)).toThrow('no kubeconfig in /data/kubeconfig or /home/me/.kube/config');
});
