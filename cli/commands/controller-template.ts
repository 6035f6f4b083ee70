/** The files of a new controller project, by path. Pure. */
export interface Names {
  /** `website` */
  readonly name: string;
  /** `Website` */
  readonly kind: string;
  readonly group: string;
  /** Where packages come from: a version, or a path by package. */
  readonly packages: Readonly<Record<string, string>>;
}

export function projectFiles({ name, kind, group, packages }: Names): Readonly<Record<string, string>> {
  const plural = `${name.replaceAll('-', '')}s`;
  const upper = kind;
  return {
    'package.json': `${JSON.stringify(
      {
        name,
        version: '0.1.0',
        private: true,
        type: 'module',
        scripts: {
          build:
            'tsc && esbuild src/main.ts --bundle --platform=node --target=node20 --format=cjs --log-override:empty-import-meta=silent --outfile=dist/main.cjs',
          test: 'tsc && node --test dist/',
          dev: 'trimtab dev src/operator.ts',
          plan: 'trimtab plan src/operator.ts',
          image:
            'npm run build && trimtab manifests src/operator.ts > chart/templates/generated.yaml && trimtab image assemble image.yaml',
          deploy: 'trimtab apply -f chart',
        },
        dependencies: pick(packages, ['client', 'framework', 'machinery']),
        devDependencies: {
          ...pick(packages, ['testing', 'server', 'store', 'crd']),
          '@types/node': '^20.19.0',
          esbuild: '^0.28.2',
          typescript: '^7.0.2',
        },
      },
      undefined,
      2,
    )}\n`,
    'tsconfig.json': `${JSON.stringify(
      {
        compilerOptions: {
          target: 'ES2023',
          module: 'NodeNext',
          strict: true,
          skipLibCheck: true,
          types: ['node'],
          rootDir: 'src',
          outDir: 'dist',
        },
        include: ['src'],
      },
      undefined,
      2,
    )}\n`,
    '.gitignore': 'node_modules\ndist\n',
    'src/kind.ts': `import { customKind, type ObjectOf, s } from '@trimtab/framework';

/** One declaration: the type, the CustomResourceDefinition, the validator, the test generator. */
export const ${upper}s = customKind({
  group: '${group}',
  version: 'v1',
  kind: '${kind}',
  plural: '${plural}',
  spec: s.object({ message: s.string({ minLength: 1 }) }),
  status: s.object({ conditions: s.conditions() }),
  columns: [{ name: 'Ready', type: 'string', path: '.status.conditions[?(@.type=="Ready")].status' }],
});

export type ${upper} = ObjectOf<typeof ${upper}s>;
`,
    'src/operator.ts': `import { apply, controller, operator, owned, setCondition } from '@trimtab/framework';
import { ConfigMaps } from '@trimtab/machinery';
import { type ${upper}, ${upper}s } from './kind.js';

export const ${camel(name)} = controller<${upper}>({
  name: '${name}',
  for: ${upper}s,
  owns: [ConfigMaps],
  reconcile(view) {
    const { object } = view;
    if (!object) return [];
    return [
      apply(ConfigMaps, owned(${upper}s, object, { data: { message: object.spec.message } })),
      ...setCondition(${upper}s, view, 'Ready', view.owned(ConfigMaps).length > 0, 'Written'),
    ];
  },
});

export const app = operator({ name: '${name}', controllers: [${camel(name)}], definitions: [${upper}s.definition] });
`,
    'src/main.ts': `import { hostname } from 'node:os';
import { HttpClient, inClusterConnection, loadKubeconfig } from '@trimtab/client';
import { runOperator } from '@trimtab/framework';
import { systemClock, systemRandom } from '@trimtab/machinery';
import { app } from './operator.js';

async function main() {
  const { KUBECONFIG, KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port } = process.env;
  const connection = KUBECONFIG
    ? await loadKubeconfig(KUBECONFIG.split(':'), { environment: process.env })
    : await inClusterConnection({ host, port });
  const say = (fields: object, message: string) => console.error(JSON.stringify({ message, ...fields }));
  const logger = { debug: () => {}, info: say, warn: say, error: say, child: () => logger };
  const running = await runOperator(app, {
    client: new HttpClient({ connection }),
    clock: systemClock,
    random: systemRandom,
    logger,
    install: KUBECONFIG !== undefined,
    leaderElection: { namespace: connection.namespace ?? 'default', identity: \`\${hostname()}-\${process.pid}\` },
    http: { host: '0.0.0.0', port: 8080 },
  });
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.once(signal, () => void running.stop().then(() => process.exit(0)));
}

void main();
`,
    'src/operator.test.ts': `import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ConfigMaps } from '@trimtab/machinery';
import { perturb, world } from '@trimtab/testing';
import { type ${upper}, ${upper}s } from './kind.js';
import { ${camel(name)} } from './operator.js';

const key = { namespace: 'default', name: 'first' };
const first = ${upper}s.of(key, { message: 'hello' });
const description = { kinds: [${upper}s], controllers: [${camel(name)}] };

test('what it says is written down, and kept so', async () => {
  const w = await world(description);
  await w.create(${upper}s, first);
  await w.settle();
  assert.equal((await w.get(ConfigMaps, key)).data?.message, 'hello');
  await w.client.delete(ConfigMaps, key);
  await w.settle();
  assert.equal((await w.get(ConfigMaps, key)).data?.message, 'hello');
  const ready = (await w.get<${upper}>(${upper}s, key)).status?.conditions?.[0];
  assert.equal(ready?.status, 'True');
  // What it asks for is what it declares: its role is made of that.
  assert.deepEqual(w.process.beyondRole, []);
});

test('survives every single fault', async () => {
  const report = await perturb({
    world: description,
    workload: async (w) => {
      await w.create(${upper}s, first);
    },
  });
  report.expectNoDivergence();
});
`,
    'sample.yaml': `apiVersion: ${group}/v1
kind: ${kind}
metadata:
  name: first
  namespace: default
spec:
  message: hello
`,
    'image.yaml': `# For: trimtab image assemble image.yaml
reference: ${name}:0.1.0
programs:
  $node: /bin/node
files:
  dist/main.cjs: /app/main.cjs
config:
  Entrypoint: [/bin/node, /app/main.cjs]
`,
    'chart/Chart.yaml': `apiVersion: v2
name: ${name}
version: 0.1.0
appVersion: 0.1.0
`,
    'chart/values.yaml': `image: ${name}:0.1.0
replicas: 1
`,
    'chart/templates/serviceaccount.yaml': `apiVersion: v1
kind: ServiceAccount
metadata:
  name: ${name}
  namespace: {{ .Release.Namespace }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata:
  name: ${name}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: ClusterRole
  name: ${name}
subjects:
  - kind: ServiceAccount
    name: ${name}
    namespace: {{ .Release.Namespace }}
`,
    'chart/templates/deployment.yaml': `apiVersion: apps/v1
kind: Deployment
metadata:
  name: ${name}
  namespace: {{ .Release.Namespace }}
spec:
  replicas: {{ .Values.replicas }}
  selector:
    matchLabels: { app: ${name} }
  template:
    metadata:
      labels: { app: ${name} }
    spec:
      serviceAccountName: ${name}
      containers:
        - name: operator
          image: {{ .Values.image }}
          ports: [{ containerPort: 8080 }]
          livenessProbe: { httpGet: { path: /healthz, port: 8080 } }
          readinessProbe: { httpGet: { path: /readyz, port: 8080 } }
`,
    'README.md': `# ${name}

    npm install
    npm test                                 # in virtual time, with every single fault
    npm run dev                              # against your cluster; saving reloads
    trimtab apply -f sample.yaml             # one to look after: trimtab get ${plural}; trimtab why ${name}/first
    npm run plan                             # what it would do, without doing it
    npm run image && npm run deploy          # as a pod of your cluster: image, roles and chart
`,
  };
}

const camel = (name: string): string => name.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase());

const pick = (packages: Names['packages'], names: readonly string[]): Record<string, string> =>
  Object.fromEntries(names.map((each) => [`@trimtab/${each}`, packages[each]!]));
