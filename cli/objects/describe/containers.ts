import type { Container, ContainerState, ContainerStatus, EnvVar, Probe } from '@trimtab/machinery';
import { type Block, type Entry, optional, pairs, timeText, value } from './block.js';

/** Containers, with what became of them where that is known. */
export function containersEntry(
  label: string,
  containers: readonly Container[],
  statuses: readonly ContainerStatus[] = [],
): Entry {
  const inner = containers.map((container) => ({
    label: container.name,
    inner: containerBlock(
      container,
      statuses.find(({ name }) => name === container.name),
    ),
  }));
  return { label, inner };
}

function containerBlock(container: Container, status: ContainerStatus | undefined): Block {
  const { ports = [], command, args, resources = {} } = container;
  const portTexts = ports.map(
    ({ containerPort, protocol = 'TCP', name }) => `${containerPort}/${protocol}${name ? ` (${name})` : ''}`,
  );
  return [
    ...(status ? [value('Container ID', status.containerID ?? '')] : []),
    value('Image', container.image ?? ''),
    ...(status ? [value('Image ID', status.imageID ?? '')] : []),
    value(ports.length > 1 ? 'Ports' : 'Port', portTexts.join(', ') || '<none>'),
    ...(command?.length ? [value('Command', command)] : []),
    ...(args?.length ? [value('Args', args)] : []),
    ...(status ? stateBlock('State', status.state ?? { waiting: {} }) : []),
    ...(status?.lastState && Object.keys(status.lastState).length > 0
      ? stateBlock('Last State', status.lastState)
      : []),
    ...(status ? [value('Ready', titled(status.ready)), value('Restart Count', status.restartCount ?? 0)] : []),
    ...(resources.limits ? [value('Limits', pairs(resources.limits, ': '))] : []),
    ...(resources.requests ? [value('Requests', pairs(resources.requests, ': '))] : []),
    ...probeBlock('Liveness', container.livenessProbe),
    ...probeBlock('Readiness', container.readinessProbe),
    ...probeBlock('Startup', container.startupProbe),
    ...environmentFrom(container),
    value('Environment', (container.env ?? []).map(variableText)),
    value(
      'Mounts',
      (container.volumeMounts ?? []).map(
        ({ mountPath, name, readOnly, subPath }) =>
          `${mountPath} from ${name} (${readOnly ? 'ro' : 'rw'}${subPath ? `, path="${subPath}"` : ''})`,
      ),
    ),
  ];
}

export const titled = (flag: boolean | undefined): string => (flag ? 'True' : 'False');

function stateBlock(label: string, { running, waiting, terminated }: ContainerState): Block {
  if (running) return [value(label, 'Running'), value('  Started', timeText(running.startedAt))];
  if (!terminated)
    return [
      value(label, 'Waiting'),
      ...optional('  Reason', waiting?.reason),
      ...optional('  Message', waiting?.message),
    ];
  return [
    value(label, 'Terminated'),
    ...optional('  Reason', terminated.reason),
    ...optional('  Message', terminated.message),
    value('  Exit Code', terminated.exitCode),
    ...optional('  Signal', terminated.signal),
    value('  Started', timeText(terminated.startedAt)),
    value('  Finished', timeText(terminated.finishedAt)),
  ];
}

function probeBlock(label: string, probe: Probe | undefined): Block {
  if (!probe) return [];
  const seconds = (n: number | undefined, otherwise: number): string => `${n ?? otherwise}s`;
  const times = [
    `delay=${seconds(probe.initialDelaySeconds, 0)}`,
    `timeout=${seconds(probe.timeoutSeconds, 1)}`,
    `period=${seconds(probe.periodSeconds, 10)}`,
    `#success=${probe.successThreshold ?? 1}`,
    `#failure=${probe.failureThreshold ?? 3}`,
  ];
  return [value(label, `${probeAction(probe)} ${times.join(' ')}`)];
}

function probeAction({ exec, httpGet, tcpSocket, grpc }: Probe): string {
  if (exec) return `exec [${(exec.command ?? []).join(' ')}]`;
  if (httpGet) {
    const { scheme = 'HTTP', host = '', port, path = '' } = httpGet;
    return `http-get ${scheme.toLowerCase()}://${host}:${port}${path}`;
  }
  if (tcpSocket) return `tcp-socket ${tcpSocket.host ?? ''}:${tcpSocket.port}`;
  return grpc ? `grpc <pod>:${grpc.port} ${grpc.service ?? ''}`.trimEnd() : 'unknown';
}

function environmentFrom({ envFrom = [] }: Container): Block {
  const texts = envFrom.map(({ configMapRef, secretRef, prefix }) => {
    const source = configMapRef ? `${configMapRef.name} ConfigMap` : `${secretRef?.name} Secret`;
    const optionalText = `Optional: ${Boolean((configMapRef ?? secretRef)?.optional)}`;
    return `${source}${prefix ? ` with prefix '${prefix}'` : ''} ${optionalText}`;
  });
  return texts.length > 0 ? [value('Environment Variables from', texts)] : [];
}

/** Values of secrets are not looked up; where they come from is said. */
function variableText({ name, value: text, valueFrom }: EnvVar): string {
  if (!valueFrom) return `${name}: ${text ?? ''}`;
  const { fieldRef, resourceFieldRef, secretKeyRef, configMapKeyRef } = valueFrom;
  if (fieldRef) return `${name}: (${fieldRef.apiVersion ?? 'v1'}:${fieldRef.fieldPath})`;
  if (resourceFieldRef) return `${name}: (${resourceFieldRef.resource})`;
  const [ref, kind] = secretKeyRef ? [secretKeyRef, 'secret'] : [configMapKeyRef, 'config map'];
  return `${name}: <set to the key '${ref?.key}' in ${kind} '${ref?.name}'> Optional: ${Boolean(ref?.optional)}`;
}
