import type { ConfigMap, Container, EnvVar, Secret, Service } from '@trimtab/machinery';
import { ContainerConfigError } from './container-files.js';
import { type DownwardFacts, fieldValue, resourceValue } from './downward.js';
import type { EnvFiles } from './env-file.js';
import { expand } from './expansion.js';
import { serviceEnv, servicesFor } from './service-env.js';

/** What environment variables are taken from; objects are undefined when the API has none of that name. */
export interface EnvSources extends DownwardFacts {
  readonly services: readonly Service[];
  configMap(name: string): ConfigMap | undefined;
  secret(name: string): Secret | undefined;
  /** Of files that have been read before; throws where something is missing and not optional. */
  readonly file?: EnvFiles;
}

const fail = (message: string): never => {
  throw new ContainerConfigError('CreateContainerConfigError', message);
};

const decode = (base64: string): string => Buffer.from(base64, 'base64').toString('utf8');

/**
 * A container's own environment in Kubernetes' order: services, then `envFrom`, then `env`, later ones winning; `$(NAME)`
 * sees everything set before it. Throws a ContainerConfigError that names the object and key that is missing.
 */
export function containerEnv(container: Container, sources: EnvSources): ReadonlyMap<string, string> {
  const namespace = sources.pod.metadata.namespace ?? '';
  const links = sources.pod.spec.enableServiceLinks ?? true;
  const services = serviceEnv(servicesFor(sources.services, namespace, links));
  const own = new Map<string, string>();
  for (const from of container.envFrom ?? []) {
    const entries = from.configMapRef
      ? configMapEntries(from.configMapRef, sources)
      : from.secretRef
        ? secretEntries(from.secretRef, sources)
        : [];
    for (const [key, value] of entries) if (!key.includes('=')) own.set(`${from.prefix ?? ''}${key}`, value);
  }
  for (const variable of container.env ?? []) {
    const value = variableValue(variable, container, sources, (name) => own.get(name) ?? services.get(name));
    if (value !== undefined) own.set(variable.name, value);
  }
  return new Map([...services, ...own]);
}

function configMapEntries(
  ref: { name?: string; optional?: boolean },
  sources: EnvSources,
): readonly [string, string][] {
  const map = sources.configMap(ref.name ?? '');
  if (!map) return ref.optional ? [] : fail(`configmap "${ref.name}" not found`);
  return Object.entries(map.data ?? {});
}

function secretEntries(ref: { name?: string; optional?: boolean }, sources: EnvSources): readonly [string, string][] {
  const secret = sources.secret(ref.name ?? '');
  if (!secret) return ref.optional ? [] : fail(`secret "${ref.name}" not found`);
  return Object.entries(secret.data ?? {}).map(([key, value]) => [key, decode(value)]);
}

function variableValue(
  variable: EnvVar,
  container: Container,
  sources: EnvSources,
  lookup: (name: string) => string | undefined,
): string | undefined {
  const from = variable.valueFrom;
  if (!from) return expand(variable.value ?? '', lookup);
  try {
    if (from.fieldRef) return fieldValue(from.fieldRef, sources);
    if (from.resourceFieldRef) return resourceValue(from.resourceFieldRef, sources, container);
  } catch (error) {
    return fail(error instanceof Error ? error.message : String(error));
  }
  if (from.configMapKeyRef) return configMapKey(from.configMapKeyRef, sources);
  if (from.secretKeyRef) return secretKey(from.secretKeyRef, sources);
  if (from.fileKeyRef && sources.file) return sources.file(from.fileKeyRef);
  return fail(`environment variable ${variable.name} has a source this node does not know`);
}

interface KeyRef {
  readonly name?: string;
  readonly key: string;
  readonly optional?: boolean;
}

function configMapKey({ name = '', key, optional }: KeyRef, sources: EnvSources): string | undefined {
  const map = sources.configMap(name);
  const value = map?.data?.[key];
  if (value !== undefined || optional) return value;
  if (!map) return fail(`configmap "${name}" not found`);
  return fail(`couldn't find key ${key} in ConfigMap ${sources.pod.metadata.namespace}/${name}`);
}

function secretKey({ name = '', key, optional }: KeyRef, sources: EnvSources): string | undefined {
  const secret = sources.secret(name);
  const value = secret?.data?.[key];
  if (value !== undefined) return decode(value);
  if (optional) return undefined;
  if (!secret) return fail(`secret "${name}" not found`);
  return fail(`couldn't find key ${key} in Secret ${sources.pod.metadata.namespace}/${name}`);
}
