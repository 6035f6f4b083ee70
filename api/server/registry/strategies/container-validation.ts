import {
  type Container,
  causes,
  compareQuantities,
  type EnvVar,
  isQuantity,
  parseQuantity,
  type ResourceRequirements,
} from '@trimtab/machinery';
import {
  type Causes,
  dataKey,
  dnsLabel,
  environmentName,
  ipAddress,
  localPath,
  oneOf,
  optionalOneOf,
  port,
  portName,
  qualifiedName,
  quantity,
  required,
  unique,
} from './checks.js';
import { downwardResource, validateFieldRef } from './downward-validation.js';
import { validateSecurity } from './security-validation.js';
import type { VolumeNames } from './volume-validation.js';

/** What of the pod its containers refer to. */
export interface ContainerScope {
  readonly volumes: VolumeNames;
  readonly claims: ReadonlySet<string>;
  readonly hostUsers: boolean;
}

/** What all containers of a pod have to keep, whatever list they stand in (kubernetes: core/validation). */
export function validateContainer(container: Container, scope: ContainerScope, at: string, out: Causes): void {
  if (required(container.name, `${at}.name`, out)) dnsLabel(container.name, `${at}.name`, out);
  if (required(container.image, `${at}.image`, out) && container.image?.trim() !== container.image)
    out.push(causes.invalid(`${at}.image`, container.image, 'must not have leading or trailing whitespace'));
  oneOf(container.terminationMessagePolicy, ['FallbackToLogsOnError', 'File'], `${at}.terminationMessagePolicy`, out);
  validatePorts(container, at, out);
  for (const [i, variable] of (container.env ?? []).entries()) validateVariable(variable, `${at}.env[${i}]`, out);
  validateEnvFrom(container, at, out);
  validateMounts(container, scope.volumes.all, at, out);
  validateDevices(container, scope.volumes, at, out);
  oneOf(container.imagePullPolicy, ['Always', 'IfNotPresent', 'Never'], `${at}.imagePullPolicy`, out);
  validateResources(container.resources, `${at}.resources`, out, scope.claims);
  validateResizePolicy(container, at, out);
  validateSecurity(container, `${at}.securityContext`, out, scope.hostUsers);
}

function validateEnvFrom(container: Container, at: string, out: Causes): void {
  for (const [i, source] of (container.envFrom ?? []).entries()) {
    const path = `${at}.envFrom[${i}]`;
    if (source.prefix) environmentName(source.prefix, `${path}.prefix`, out);
    const given = (['configMapRef', 'secretRef'] as const).filter((kind) => source[kind] !== undefined);
    for (const kind of given) required(source[kind]?.name, `${path}.${kind}.name`, out);
    if (given.length === 0) out.push(causes.invalid(path, '', 'must specify one of: `configMapRef` or `secretRef`'));
    if (given.length > 1) out.push(causes.invalid(path, '', 'may not have more than one field specified at a time'));
  }
}

function validatePorts(container: Container, at: string, out: Causes): void {
  for (const [i, p] of (container.ports ?? []).entries()) {
    const path = `${at}.ports[${i}]`;
    if (p.name) portName(p.name, `${path}.name`, out);
    if (p.containerPort === 0 || p.containerPort === undefined) out.push(causes.required(`${path}.containerPort`));
    else port(p.containerPort, `${path}.containerPort`, out);
    if (p.hostPort) port(p.hostPort, `${path}.hostPort`, out);
    oneOf(p.protocol, ['SCTP', 'TCP', 'UDP'], `${path}.protocol`, out);
    if (p.hostIP) ipAddress(p.hostIP, `${path}.hostIP`, out);
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
  if (from.fieldRef) validateFieldRef(from.fieldRef, downwardFields, `${path}.fieldRef`, out);
  if (from.resourceFieldRef) downwardResource(from.resourceFieldRef, `${path}.resourceFieldRef`, out, false);
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
function validateMounts(container: Container, volumes: ReadonlySet<string>, at: string, out: Causes): void {
  const seen = new Set<string>();
  const devices = new Set((container.volumeDevices ?? []).map((d) => d.devicePath));
  for (const [i, mount] of (container.volumeMounts ?? []).entries()) {
    const path = `${at}.volumeMounts[${i}]`;
    if (required(mount.name, `${path}.name`, out) && !volumes.has(mount.name))
      out.push(causes.notFound(`${path}.name`, mount.name));
    required(mount.mountPath, `${path}.mountPath`, out);
    if (seen.has(mount.mountPath)) out.push(causes.invalid(`${path}.mountPath`, mount.mountPath, 'must be unique'));
    seen.add(mount.mountPath);
    if (devices.has(mount.mountPath))
      out.push(
        causes.invalid(`${path}.mountPath`, mount.mountPath, 'must not already exist as a path in volumeDevices'),
      );
    if (mount.subPath) localPath(mount.subPath, `${path}.subPath`, out);
    if (mount.subPathExpr) {
      if (mount.subPath)
        out.push(
          causes.invalid(`${path}.subPathExpr`, mount.subPathExpr, 'subPathExpr and subPath are mutually exclusive'),
        );
      localPath(mount.subPathExpr, `${path}.subPathExpr`, out);
    }
    const propagation = mount.mountPropagation;
    if (propagation === 'Bidirectional' && container.securityContext?.privileged !== true)
      out.push(
        causes.forbidden(
          `${path}.mountPropagation`,
          'Bidirectional mount propagation is available only to privileged containers',
        ),
      );
    optionalOneOf(propagation, ['Bidirectional', 'HostToContainer', 'None'], `${path}.mountPropagation`, out);
    const recursive = mount.recursiveReadOnly;
    optionalOneOf(recursive, ['Disabled', 'Enabled', 'IfPossible'], `${path}.recursiveReadOnly`, out);
    if (recursive !== undefined && recursive !== 'Disabled') {
      if (!mount.readOnly)
        out.push(causes.forbidden(`${path}.recursiveReadOnly`, 'may only be specified when readOnly is true'));
      if (propagation && propagation !== 'None')
        out.push(
          causes.forbidden(
            `${path}.recursiveReadOnly`,
            'may only be specified when mountPropagation is None or not specified',
          ),
        );
    }
  }
}

function validateDevices(container: Container, volumes: VolumeNames, at: string, out: Causes): void {
  const names = new Set<string>();
  const paths = new Set<string>();
  const mounted = new Set((container.volumeMounts ?? []).map((m) => m.name));
  for (const [i, device] of (container.volumeDevices ?? []).entries()) {
    const path = `${at}.volumeDevices[${i}]`;
    if (required(device.name, `${path}.name`, out)) {
      if (names.has(device.name)) out.push(causes.invalid(`${path}.name`, device.name, 'must be unique'));
      if (!volumes.all.has(device.name)) out.push(causes.notFound(`${path}.name`, device.name));
      else if (!volumes.claims.has(device.name))
        out.push(
          causes.invalid(
            `${path}.name`,
            device.name,
            'can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode',
          ),
        );
    }
    if (required(device.devicePath, `${path}.devicePath`, out)) {
      if (paths.has(device.devicePath))
        out.push(causes.invalid(`${path}.devicePath`, device.devicePath, 'must be unique'));
      localPath(device.devicePath.replace(/^\//, ''), `${path}.devicePath`, out);
    }
    if (mounted.has(device.name))
      out.push(causes.invalid(`${path}.name`, device.name, 'must not already exist in volumeMounts'));
    names.add(device.name);
    paths.add(device.devicePath);
  }
}

function validateResizePolicy(container: Container, at: string, out: Causes): void {
  const seen = new Set<string>();
  for (const policy of container.resizePolicy ?? []) {
    const path = `${at}.resizePolicy`;
    if (seen.has(policy.resourceName)) out.push(causes.duplicate(path, policy.resourceName));
    seen.add(policy.resourceName);
    oneOf(policy.resourceName, ['cpu', 'memory'], path, out);
    oneOf(policy.restartPolicy, ['NotRequired', 'RestartContainer'], path, out);
    if (container.restartPolicy === 'Never' && policy.restartPolicy !== 'NotRequired')
      out.push(causes.invalid(path, policy.restartPolicy, "must be 'NotRequired' when `restartPolicy` is 'Never'"));
  }
}

const nativeResources = ['cpu', 'ephemeral-storage', 'memory'];

/** `claims`: the names of the pod's resource claims. */
export function validateResources(
  resources: ResourceRequirements | undefined,
  at: string,
  out: Causes,
  claims: ReadonlySet<string> = new Set(),
): void {
  for (const [name, limit] of Object.entries(resources?.limits ?? {})) validateAmount(name, limit, `${at}.limits`, out);
  for (const [name, request] of Object.entries(resources?.requests ?? {})) {
    validateAmount(name, request, `${at}.requests`, out);
    const limit = resources?.limits?.[name];
    if (limit !== undefined && isQuantity(limit) && isQuantity(request)) {
      const order = compareQuantities(parseQuantity(request), parseQuantity(limit));
      if (order !== 0 && !overcommits(name))
        out.push(causes.invalid(`${at}.requests`, request, `must be equal to ${name} limit of ${limit}`));
      else if (order > 0)
        out.push(causes.invalid(`${at}.requests`, request, `must be less than or equal to ${name} limit of ${limit}`));
    } else if (limit === undefined && !overcommits(name))
      out.push(causes.required(`${at}.limits`, 'Limit must be set for non overcommitable resources'));
  }
  for (const name of ['limits', 'requests'] as const)
    if (Object.keys(resources?.[name] ?? {}).some(isHuge) && !hasCpuOrMemory(resources)) {
      out.push(causes.forbidden(at, 'HugePages require cpu or memory'));
      break;
    }
  const seen = new Set<string>();
  for (const [i, claim] of (resources?.claims ?? []).entries()) {
    const path = `${at}.claims[${i}]`;
    if (!required(claim.name, `${path}.name`, out)) continue;
    if (seen.has(claim.name)) out.push(causes.duplicate(path, claim.name));
    else if (!claims.has(claim.name)) out.push(causes.notFound(`${path}.name`, claim.name));
    seen.add(claim.name);
  }
}

const isHuge = (name: string): boolean => name.startsWith('hugepages-');
const overcommits = (name: string): boolean =>
  nativeResources.includes(name) || (name.includes('kubernetes.io/') && !isHuge(name));

const hasCpuOrMemory = (resources: ResourceRequirements | undefined): boolean =>
  ['cpu', 'memory'].some((name) => resources?.limits?.[name] ?? resources?.requests?.[name]);

function validateAmount(name: string, value: string, at: string, out: Causes): void {
  qualifiedName(name, at, out);
  if (!name.includes('/') && !nativeResources.includes(name) && !isHuge(name))
    out.push(causes.invalid(at, name, 'must be a standard resource for containers'));
  if (!quantity(value, `${at}[${name}]`, out) || overcommits(name)) return;
  if (parseQuantity(value).nano % 1_000_000_000n !== 0n)
    out.push(causes.invalid(`${at}[${name}]`, value, 'must be an integer'));
}
