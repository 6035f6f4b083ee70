import { type Deployment, type Service, systemClock, systemRandom } from '@trimtab/machinery';
import { componentUsers, versionInfo } from '@trimtab/server';
import { createLogger } from '../logger.js';
import { type Cluster, startCluster } from './cluster.js';
import { checkOptions, type RawUpOptions, type UpOptions } from './options.js';
import { jsonOutput, type Output, textOutput } from './output.js';

/** `trimtab up`: a cluster in the foreground until SIGINT or SIGTERM, which stops everything cleanly. */
export async function up(raw: RawUpOptions): Promise<void> {
  const options = checkOptions(raw, process.getuid?.() === 0);
  const output = options.output === 'json' ? jsonOutput(process.stdout) : textOutput(process.stdout);
  const logger = createLogger(options.logLevel);
  const ambient = { clock: systemClock, random: systemRandom, logger };
  const stopping = new AbortController();
  const stopped = untilSignalled(stopping);
  const cluster = await startCluster(options, ambient, stopping.signal, (milestone, fields) =>
    output.event(milestone, { ms: sinceStart(), ...fields }),
  );
  const { server } = cluster.plane;
  const seconds = (sinceStart() / 1000).toFixed(2);
  try {
    if (!stopping.signal.aborted) {
      output.event(
        'ready',
        { ms: sinceStart(), kubeconfig: options.kubeconfig, server: server.url },
        `ready in ${seconds} s: ${server.url}, kubeconfig ${options.kubeconfig}`,
      );
      if (options.chart !== undefined) await install(options, output, cluster, stopping.signal);
    }
    if ((await stopped) === 'SIGTERM') await cluster.leave();
  } finally {
    output.event('stopping', {}, 'stopping');
    await cluster.stop();
    output.event('stopped', {}, 'stopped; data stays in '.concat(options.paths.data));
  }
  process.exit(process.exitCode ?? 0);
}

async function install(options: UpOptions, output: Output, cluster: Cluster, signal: AbortSignal): Promise<void> {
  const { installChart } = await import('./install-chart.js');
  const { services, deployments } = await installChart({
    client: cluster.plane.client(componentUsers.apiServer),
    informers: cluster.informers,
    output,
    directory: options.chart!,
    set: options.set,
    namespace: 'default',
    kubeVersion: versionInfo.gitVersion,
    colour: process.stdout.isTTY === true,
    signal,
  });
  if (signal.aborted) return;
  const url = urlOf(services, cluster.address);
  const lines = [
    ...(url === undefined ? [] : ['', `  Open     ${url}`]),
    '',
    `  Config   export KUBECONFIG=${options.kubeconfig}`,
    ...worthTrying(deployments).map((command, i) => `  ${i === 0 ? 'Try' : '   '}      ${command}`),
    '',
    'Ctrl-C stops the cluster; its data stays.',
  ];
  output.event('installed', { ms: sinceStart(), ...(url ? { url } : {}) }, lines.join('\n'));
}

/** Three commands that show what the chart's first deployment is made of, what it says, and that it heals. */
function worthTrying(deployments: readonly Deployment[]): readonly string[] {
  const [first] = deployments;
  if (first === undefined) return ['kubectl get pods -o wide'];
  const [label, value] =
    Object.entries(first.spec?.selector?.matchLabels ?? {}).sort(([a], [b]) => (a < b ? -1 : 1))[0] ?? [];
  return [
    'kubectl get pods -o wide',
    `kubectl logs -f deployment/${first.metadata.name}`,
    ...(label === undefined ? [] : [`kubectl delete pod -l ${label}=${value}`]),
  ];
}

/** Where the first node port of a chart's Services is reached. */
function urlOf(services: readonly Service[], address: string | undefined): string | undefined {
  const ports = services.flatMap(({ spec }) => (spec?.type === 'NodePort' ? (spec.ports ?? []) : []));
  const nodePort = ports[0]?.nodePort;
  return nodePort === undefined || address === undefined ? undefined : `http://${address}:${nodePort}`;
}

/** Signals closer together than this are one Ctrl-C that came by several ways: from the terminal, and passed on by npm. */
const ONE_SIGNAL_MS = 1_000;

/** Resolves with the first SIGINT or SIGTERM; a later one ends the process at once. */
function untilSignalled(stopping: AbortController): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    let first = 0;
    const stop = (signal: NodeJS.Signals) => {
      if (stopping.signal.aborted && performance.now() - first > ONE_SIGNAL_MS) process.exit(130);
      if (stopping.signal.aborted) return;
      first = performance.now();
      stopping.abort();
      resolve(signal);
    };
    process.on('SIGINT', stop);
    process.on('SIGTERM', stop);
  });
}

const sinceStart = (): number => Math.round(performance.now());
