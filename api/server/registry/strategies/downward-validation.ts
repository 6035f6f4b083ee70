import { causes, compareQuantities, isQuantity, parseQuantity } from '@trimtab/machinery';
import { type Causes, qualifiedName, required } from './checks.js';

/** What containers and files may learn of their own pod (kubernetes: core/validation, downward API). */

interface FieldRef {
  readonly apiVersion?: string;
  readonly fieldPath: string;
}

const subscripted = /^(metadata\.(?:labels|annotations))\['(.*)'\]$/;

/** `supported` are the paths without a subscript. */
export function validateFieldRef(ref: FieldRef, supported: readonly string[], at: string, out: Causes): void {
  if (!required(ref.apiVersion, `${at}.apiVersion`, out)) return;
  if (!required(ref.fieldPath, `${at}.fieldPath`, out)) return;
  const [, map, key = ''] = subscripted.exec(ref.fieldPath) ?? [];
  if (map) qualifiedName(map === 'metadata.annotations' ? key.toLowerCase() : key, at, out);
  else if (/\[/.test(ref.fieldPath))
    out.push(causes.invalid(at, ref.fieldPath, `invalid fieldPath: does not support subscript`));
  else if (!supported.includes(ref.fieldPath))
    out.push(causes.notSupported(`${at}.fieldPath`, ref.fieldPath, supported));
}

interface ResourceFieldRef {
  readonly containerName?: string;
  readonly divisor?: string;
  readonly resource: string;
}

const resources = [
  'limits.cpu',
  'limits.ephemeral-storage',
  'limits.memory',
  'requests.cpu',
  'requests.ephemeral-storage',
  'requests.memory',
];
const divisors: Readonly<Record<string, readonly string[]>> = {
  cpu: ['1m', '1'],
  memory: ['1', '1k', '1M', '1G', '1T', '1P', '1E', '1Ki', '1Mi', '1Gi', '1Ti', '1Pi', '1Ei'],
};

/** `file`: in a volume, where the container has to be named. */
export function downwardResource(ref: ResourceFieldRef, at: string, out: Causes, file: boolean): void {
  if (file && !required(ref.containerName, `${at}.containerName`, out)) return;
  if (!required(ref.resource, `${at}.resource`, out)) return;
  const huge = /^(limits|requests)\.hugepages-/.test(ref.resource);
  if (!huge && !resources.includes(ref.resource))
    out.push(causes.notSupported(`${at}.resource`, ref.resource, resources));
  const { divisor } = ref;
  if (divisor === undefined || divisor === '0' || !isQuantity(divisor)) return;
  const allowed = divisors[ref.resource.endsWith('.cpu') ? 'cpu' : 'memory'] ?? [];
  if (!allowed.some((d) => compareQuantities(parseQuantity(d), parseQuantity(divisor)) === 0))
    out.push(
      causes.invalid(
        `${at}.divisor`,
        divisor,
        ref.resource.endsWith('.cpu')
          ? "only divisor's values 1m and 1 are supported with the cpu resource"
          : "only divisor's values 1, 1k, 1M, 1G, 1T, 1P, 1E, 1Ki, 1Mi, 1Gi, 1Ti, 1Pi, 1Ei are supported with the memory resource",
      ),
    );
}
