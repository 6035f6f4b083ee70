import { type Container, causes, type Lifecycle, type Probe } from '@trimtab/machinery';
import { type Causes, nonNegative, optionalOneOf, port, portOrName, required } from './checks.js';

/** What a kubelet may be told to try (kubernetes: core/validation, probes and lifecycle handlers). */

type Handler = Pick<Probe, 'exec' | 'httpGet' | 'tcpSocket' | 'grpc'> & {
  readonly sleep?: { readonly seconds: number };
};

const headerText =
  "a valid HTTP header must consist of alphanumeric characters or '-' (e.g. 'X-Header-Name', regex used for validation is '[-A-Za-z0-9]+')";

/** `grace`: how long the pod has to stop, in seconds; a hook may sleep no longer. */
function validateHandler(handler: Handler, at: string, out: Causes, grace?: number): void {
  const kinds = (['exec', 'httpGet', 'tcpSocket', 'grpc', 'sleep'] as const).filter((k) => handler[k] !== undefined);
  for (const [i, kind] of kinds.entries()) {
    if (i > 0) {
      out.push(causes.forbidden(`${at}.${kind}`, 'may not specify more than 1 handler type'));
      continue;
    }
    if (kind === 'exec') required(handler.exec?.command, `${at}.exec.command`, out);
    if (kind === 'httpGet') validateHttpGet(handler, at, out);
    if (kind === 'tcpSocket') portOrName(handler.tcpSocket?.port, `${at}.tcpSocket.port`, out);
    if (kind === 'grpc') port(handler.grpc?.port, `${at}.grpc.port`, out);
    const seconds = handler.sleep?.seconds ?? 0;
    if (kind === 'sleep' && grace !== undefined && (seconds < 0 || seconds > grace))
      out.push(
        causes.invalid(
          `${at}.sleep`,
          seconds,
          `must be non-negative and less than terminationGracePeriodSeconds (${grace})`,
        ),
      );
  }
  if (kinds.length === 0) out.push(causes.required(at, 'must specify a handler type'));
}

function validateHttpGet({ httpGet }: Handler, at: string, out: Causes): void {
  required(httpGet?.path, `${at}.httpGet.path`, out);
  portOrName(httpGet?.port, `${at}.httpGet.port`, out);
  optionalOneOf(httpGet?.scheme, ['HTTP', 'HTTPS'], `${at}.httpGet.scheme`, out);
  for (const header of httpGet?.httpHeaders ?? [])
    if (!/^[-A-Za-z0-9]+$/.test(header.name))
      out.push(causes.invalid(`${at}.httpGet.httpHeaders`, header.name, headerText));
}

const counts = [
  'initialDelaySeconds',
  'timeoutSeconds',
  'periodSeconds',
  'successThreshold',
  'failureThreshold',
] as const;

function validateProbe(probe: Probe | undefined, at: string, out: Causes, readiness: boolean): void {
  if (!probe) return;
  validateHandler(probe, at, out);
  for (const field of counts) nonNegative(probe[field], `${at}.${field}`, out);
  const grace = probe.terminationGracePeriodSeconds;
  if (!readiness && grace !== undefined && grace <= 0)
    out.push(causes.invalid(`${at}.terminationGracePeriodSeconds`, grace, 'must be greater than 0'));
  if (!readiness && probe.successThreshold !== undefined && probe.successThreshold !== 1)
    out.push(causes.invalid(`${at}.successThreshold`, probe.successThreshold, 'must be 1'));
  if (readiness && grace !== undefined)
    out.push(causes.invalid(`${at}.terminationGracePeriodSeconds`, grace, 'must not be set for readinessProbes'));
}

/** Hooks and probes, of containers that may have them. */
export function validateHandlers(container: Container, at: string, out: Causes, grace: number | undefined): void {
  for (const hook of ['postStart', 'preStop'] as const) {
    const handler = container.lifecycle?.[hook as keyof Lifecycle];
    if (handler) validateHandler(handler as Handler, `${at}.lifecycle.${hook}`, out, grace);
  }
  validateProbe(container.livenessProbe, `${at}.livenessProbe`, out, false);
  validateProbe(container.readinessProbe, `${at}.readinessProbe`, out, true);
  validateProbe(container.startupProbe, `${at}.startupProbe`, out, false);
}
