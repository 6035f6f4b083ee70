import {
  type Container,
  causes,
  compareQuantities,
  type EnvVar,
  isQuantity,
  type Lifecycle,
  type Probe,
  parseQuantity,
  type ResourceRequirements,
} from '@trimtab/machinery';
import {
  type Causes,
  dataKey,
  dnsLabel,
  environmentName,
  nonNegative,
  oneOf,
  optionalOneOf,
  port,
  portName,
  portOrName,
  positive,
  qualifiedName,
  quantity,
  required,
  unique,
} from './checks.js';

/** What all containers of a pod have to keep, whatever list they stand in (kubernetes: core/validation). */
export function validateContainer(container: Container, volumes: ReadonlySet<string>, at: string, out: Causes): void {
  if (required(container.name, `${at}.name`, out)) dnsLabel(container.name, `${at}.name`, out);
  if (required(container.image, `${at}.image`, out) && container.image?.trim() !== container.image)
    out.push(causes.invalid(`${at}.image`, container.image, 'must not have leading or trailing whitespace'));
  oneOf(container.imagePullPolicy, ['Always', 'IfNotPresent', 'Never'], `${at}.imagePullPolicy`, out);
  oneOf(container.terminationMessagePolicy, ['File', 'FallbackToLogsOnError'], `${at}.terminationMessagePolicy`, out);
  validatePorts(container, at, out);
  for (const [i, variable] of (container.env ?? []).entries()) validateVariable(variable, `${at}.env[${i}]`, out);
  for (const [i, source] of (container.envFrom ?? []).entries()) {
    const path = `${at}.envFrom[${i}]`;
    if (source.prefix) environmentName(source.prefix, `${path}.prefix`, out);
    const refs = [source.configMapRef, source.secretRef].filter((ref) => ref !== undefined);
    if (refs.length === 0) out.push(causes.invalid(path, '', 'must specify one of: `configMapRef` or `secretRef`'));
    if (refs.length > 1) out.push(causes.invalid(path, '', 'may not have more than one field specified at a time'));
    for (const kind of ['configMapRef', 'secretRef'] as const)
      if (source[kind]) required(source[kind].name, `${path}.${kind}.name`, out);
  }
  validateMounts(container, volumes, at, out);
  validateLifecycle(container.lifecycle, `${at}.lifecycle`, out);
  validateProbe(container.livenessProbe, `${at}.livenessProbe`, out, true);
  validateProbe(container.readinessProbe, `${at}.readinessProbe`, out, false);
  validateProbe(container.startupProbe, `${at}.startupProbe`, out, true);
  validateResources(container.resources, `${at}.resources`, out);
  validateSecurity(container, `${at}.securityContext`, out);
}

function validatePorts(container: Container, at: string, out: Causes): void {
  for (const [i, p] of (container.ports ?? []).entries()) {
    const path = `${at}.ports[${i}]`;
    if (p.name) portName(p.name, `${path}.name`, out);
    if (p.containerPort === 0 || p.containerPort === undefined) out.push(causes.required(`${path}.containerPort`));
    else port(p.containerPort, `${path}.containerPort`, out);
    if (p.hostPort) port(p.hostPort, `${path}.hostPort`, out);
    oneOf(p.protocol, ['SCTP', 'TCP', 'UDP'], `${path}.protocol`, out);
  }
  unique(
    container.ports,
    (p) => p.name,
    (i) => `${at}.ports[${i}].name`,
    out,
  );
}

function validateVariable(variable: EnvVar, at: string, out: Causes): void {
  if (required(variable.name, `${at}.name`, out)) environmentName(variable.name, `${at}.name`, out);
  const from = variable.valueFrom;
  if (!from) return;
  const path = `${at}.valueFrom`;
  const given = Object.entries(from).filter(([, source]) => source !== undefined && source !== null);
  if (given.length === 0)
    out.push(
      causes.invalid(
        path,
        '',
        'must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`',
      ),
    );
  else if (variable.value) out.push(causes.invalid(path, '', 'may not be specified when `value` is not empty'));
  else if (given.length > 1) out.push(causes.invalid(path, '', 'may not have more than one field specified at a time'));
  if (from.fieldRef) {
    required(from.fieldRef.apiVersion, `${path}.fieldRef.apiVersion`, out);
    if (
      required(from.fieldRef.fieldPath, `${path}.fieldRef.fieldPath`, out) &&
      !downwardField.test(from.fieldRef.fieldPath)
    )
      out.push(causes.notSupported(`${path}.fieldRef.fieldPath`, from.fieldRef.fieldPath, downwardFields));
  }
  if (from.resourceFieldRef) required(from.resourceFieldRef.resource, `${path}.resourceFieldRef.resource`, out);
  for (const kind of ['configMapKeyRef', 'secretKeyRef'] as const) {
    const ref = from[kind];
    if (!ref) continue;
    required(ref.name, `${path}.${kind}.name`, out);
    if (required(ref.key, `${path}.${kind}.key`, out)) dataKey(ref.key, `${path}.${kind}.key`, out);
  }
}

const downwardFields = [
  'metadata.name',
  'metadata.namespace',
  'metadata.uid',
  'spec.nodeName',
  'spec.serviceAccountName',
  'status.hostIP',
  'status.hostIPs',
  'status.podIP',
  'status.podIPs',
];
const downwardField =
  /^(metadata\.(name|namespace|uid)|metadata\.(labels|annotations)\['.+'\]|spec\.(nodeName|serviceAccountName)|status\.(hostIPs?|podIPs?))$/;

function validateMounts(container: Container, volumes: ReadonlySet<string>, at: string, out: Causes): void {
  for (const [i, mount] of (container.volumeMounts ?? []).entries()) {
    const path = `${at}.volumeMounts[${i}]`;
    if (!required(mount.name, `${path}.name`, out)) continue;
    if (!volumes.has(mount.name)) out.push(causes.notFound(`${path}.name`, mount.name));
    required(mount.mountPath, `${path}.mountPath`, out);
    if (mount.subPath?.split('/').includes('..'))
      out.push(causes.invalid(`${path}.subPath`, mount.subPath, "must not contain '..'"));
    if (mount.subPath?.startsWith('/'))
      out.push(causes.invalid(`${path}.subPath`, mount.subPath, 'must be a relative path'));
    if (mount.subPath && mount.subPathExpr)
      out.push(
        causes.invalid(`${path}.subPathExpr`, mount.subPathExpr, 'subPathExpr and subPath are mutually exclusive'),
      );
    optionalOneOf(
      mount.mountPropagation,
      ['Bidirectional', 'HostToContainer', 'None'],
      `${path}.mountPropagation`,
      out,
    );
    if (mount.mountPropagation === 'Bidirectional' && container.securityContext?.privileged !== true)
      out.push(
        causes.forbidden(
          `${path}.mountPropagation`,
          'Bidirectional mount propagation is available only to privileged containers',
        ),
      );
  }
  const seen = new Set<string>();
  for (const [i, { mountPath }] of (container.volumeMounts ?? []).entries()) {
    if (seen.has(mountPath))
      out.push(causes.invalid(`${at}.volumeMounts[${i}].mountPath`, mountPath, 'must be unique'));
    seen.add(mountPath);
  }
}

type Handler = Pick<Probe, 'exec' | 'httpGet' | 'tcpSocket' | 'grpc'> & {
  readonly sleep?: { readonly seconds: number };
};

function validateHandler(handler: Handler, at: string, out: Causes): void {
  const kinds = (['exec', 'httpGet', 'tcpSocket', 'grpc', 'sleep'] as const).filter((k) => handler[k] !== undefined);
  for (const kind of kinds.slice(1))
    out.push(causes.forbidden(`${at}.${kind}`, 'may not specify more than 1 handler type'));
  if (kinds.length === 0) out.push(causes.required(at, 'must specify a handler type'));
  if (handler.exec) required(handler.exec.command, `${at}.exec.command`, out);
  if (handler.httpGet) {
    required(handler.httpGet.path, `${at}.httpGet.path`, out);
    portOrName(handler.httpGet.port, `${at}.httpGet.port`, out);
    optionalOneOf(handler.httpGet.scheme, ['HTTP', 'HTTPS'], `${at}.httpGet.scheme`, out);
    for (const header of handler.httpGet.httpHeaders ?? [])
      if (!/^[-A-Za-z0-9]+$/.test(header.name))
        out.push(
          causes.invalid(
            `${at}.httpGet.httpHeaders`,
            header.name,
            "a valid HTTP header must consist of alphanumeric characters or '-' (e.g. 'X-Header-Name', regex used for validation is '[-A-Za-z0-9]+')",
          ),
        );
  }
  if (handler.tcpSocket) portOrName(handler.tcpSocket.port, `${at}.tcpSocket.port`, out);
  if (handler.grpc) port(handler.grpc.port, `${at}.grpc.port`, out);
}

function validateProbe(probe: Probe | undefined, at: string, out: Causes, onceOnly: boolean): void {
  if (!probe) return;
  validateHandler(probe, at, out);
  for (const field of [
    'initialDelaySeconds',
    'timeoutSeconds',
    'periodSeconds',
    'successThreshold',
    'failureThreshold',
  ] as const)
    nonNegative(probe[field], `${at}.${field}`, out);
  positive(probe.terminationGracePeriodSeconds, `${at}.terminationGracePeriodSeconds`, out);
  if (onceOnly && probe.successThreshold !== undefined && probe.successThreshold > 1)
    out.push(causes.invalid(`${at}.successThreshold`, probe.successThreshold, 'must be 1'));
  if (!onceOnly && probe.terminationGracePeriodSeconds !== undefined)
    out.push(
      causes.invalid(
        `${at}.terminationGracePeriodSeconds`,
        probe.terminationGracePeriodSeconds,
        'must not be set for readinessProbes',
      ),
    );
}

function validateLifecycle(lifecycle: Lifecycle | undefined, at: string, out: Causes): void {
  for (const hook of ['postStart', 'preStop'] as const) {
    const handler = lifecycle?.[hook];
    if (handler) validateHandler(handler as Handler, `${at}.${hook}`, out);
  }
}

const nativeResources = ['cpu', 'memory', 'ephemeral-storage'];

export function validateResources(resources: ResourceRequirements | undefined, at: string, out: Causes): void {
  for (const kind of ['limits', 'requests'] as const)
    for (const [name, value] of Object.entries(resources?.[kind] ?? {})) {
      const path = `${at}.${kind}`;
      if (!name.includes('/') && !nativeResources.includes(name) && !name.startsWith('hugepages-'))
        out.push(causes.invalid(path, name, 'must be a standard resource for containers'));
      else qualifiedName(name, path, out);
      quantity(value, `${path}[${name}]`, out);
    }
  for (const [name, request] of Object.entries(resources?.requests ?? {})) {
    const limit = resources?.limits?.[name];
    if (limit === undefined || !isQuantity(limit) || !isQuantity(request)) continue;
    if (compareQuantities(parseQuantity(request), parseQuantity(limit)) > 0)
      out.push(causes.invalid(`${at}.requests`, request, `must be less than or equal to ${name} limit of ${limit}`));
  }
}

function validateSecurity({ securityContext: s }: Container, at: string, out: Causes): void {
  if (!s) return;
  nonNegative(s.runAsUser, `${at}.runAsUser`, out);
  nonNegative(s.runAsGroup, `${at}.runAsGroup`, out);
  optionalOneOf(s.procMount, ['Default', 'Unmasked'], `${at}.procMount`, out);
  if (s.allowPrivilegeEscalation === false && s.privileged === true)
    out.push(causes.invalid(at, s, 'cannot set `allowPrivilegeEscalation` to false and `privileged` to true'));
  validateProfile(s.seccompProfile, `${at}.seccompProfile`, out);
  validateProfile(s.appArmorProfile, `${at}.appArmorProfile`, out);
}

export function validateProfile(
  profile: { readonly type: string; readonly localhostProfile?: string } | undefined,
  at: string,
  out: Causes,
): void {
  if (!profile) return;
  oneOf(profile.type, ['Localhost', 'RuntimeDefault', 'Unconfined'], `${at}.type`, out);
  if (profile.type === 'Localhost')
    required(profile.localhostProfile, `${at}.localhostProfile`, out, 'must be set when seccomp type is Localhost');
  else if (profile.localhostProfile)
    out.push(
      causes.invalid(
        `${at}.localhostProfile`,
        profile.localhostProfile,
        'can only be set when seccomp type is Localhost',
      ),
    );
}
