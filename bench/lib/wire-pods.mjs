/** A pod as workload controllers make them: about 3 KB of JSON as it is stored, 5 KB with its managed fields. @param {number} i */
export function wirePod(i) {
  const app = `app-${i % 50}`;
  const container = (name) => ({
    name,
    image: `registry.example.com/team/${app}-${name}:v1.2.${i % 10}`,
    args: ['--listen=:8080', '--log-level=info', `--shard=${i}`],
    ports: [
      { name: 'http', containerPort: 8080, protocol: 'TCP' },
      { name: 'metrics', containerPort: 9090, protocol: 'TCP' },
    ],
    env: [
      { name: 'POD_NAME', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
      { name: 'POD_IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } },
      { name: 'DATABASE', value: `postgres://db.${app}.svc:5432/main` },
      { name: 'PASSWORD', valueFrom: { secretKeyRef: { name: `${app}-db`, key: 'password' } } },
    ],
    resources: { requests: { cpu: '100m', memory: '128Mi' }, limits: { cpu: '500m', memory: '256Mi' } },
    volumeMounts: [
      { name: 'config', mountPath: '/etc/app', readOnly: true },
      { name: 'data', mountPath: '/var/lib/app' },
    ],
    livenessProbe: { httpGet: { path: '/healthz', port: 'http' }, periodSeconds: 10, failureThreshold: 3 },
    readinessProbe: { httpGet: { path: '/ready', port: 'http' }, initialDelaySeconds: 5 },
    securityContext: {
      allowPrivilegeEscalation: false,
      capabilities: { drop: ['ALL'] },
      runAsNonRoot: true,
      readOnlyRootFilesystem: true,
    },
  });
  return {
    kind: 'Pod',
    apiVersion: 'v1',
    metadata: {
      name: `${app}-7d9c8b5f4d-${String(i).padStart(6, '0')}`,
      namespace: 'default',
      labels: { app, 'pod-template-hash': '7d9c8b5f4d', tier: 'backend', 'app.kubernetes.io/part-of': 'shop' },
      annotations: { 'prometheus.io/scrape': 'true', 'prometheus.io/port': '9090' },
      ownerReferences: [
        {
          apiVersion: 'apps/v1',
          kind: 'ReplicaSet',
          name: `${app}-7d9c8b5f4d`,
          uid: '3c2a1f0e-5b6d-4c7e-8f90-123456789abc',
          controller: true,
          blockOwnerDeletion: true,
        },
      ],
    },
    spec: {
      nodeName: `node-${i % 1000}`,
      containers: [container('server')],
      volumes: [
        { name: 'config', configMap: { name: `${app}-config` } },
        { name: 'data', emptyDir: {} },
      ],
      nodeSelector: { 'kubernetes.io/os': 'linux' },
      topologySpreadConstraints: [
        {
          maxSkew: 1,
          topologyKey: 'topology.kubernetes.io/zone',
          whenUnsatisfiable: 'ScheduleAnyway',
          labelSelector: { matchLabels: { app } },
        },
      ],
    },
  };
}
