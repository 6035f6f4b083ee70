import {
  causes,
  type HorizontalPodAutoscaler,
  type MetricSpec,
  type MetricTarget,
  parseQuantity,
} from '@trimtab/machinery';
import { type Causes, nonNegative, oneOf, pathSegment, required } from './checks.js';
import { validateLabelSelector } from './selector-validation.js';
import type { KindRules } from './typed.js';

/** autoscaling/v2 as it is stored (kubernetes: pkg/apis/autoscaling/validation). */
export const horizontalPodAutoscaler: KindRules<HorizontalPodAutoscaler> = {
  validate({ spec }, out) {
    const minimum = spec?.minReplicas;
    const maximum = spec?.maxReplicas ?? 0;
    if (minimum !== undefined && minimum < 1)
      out.push(causes.invalid('spec.minReplicas', minimum, 'must be greater than or equal to 1'));
    if (maximum < 1) out.push(causes.invalid('spec.maxReplicas', maximum, 'must be greater than 0'));
    if (minimum !== undefined && maximum < minimum)
      out.push(causes.invalid('spec.maxReplicas', maximum, 'must be greater than or equal to `minReplicas`'));
    validateReference(spec?.scaleTargetRef, 'spec.scaleTargetRef', out);
    for (const [i, metric] of (spec?.metrics ?? []).entries()) validateMetric(metric, `spec.metrics[${i}]`, out);
    for (const direction of ['scaleUp', 'scaleDown'] as const) validateScaling(spec, direction, out);
  },
};

function validateReference(
  ref: { readonly kind?: string; readonly name?: string } | undefined,
  at: string,
  out: Causes,
): void {
  for (const field of ['kind', 'name'] as const)
    if (required(ref?.[field], `${at}.${field}`, out)) pathSegment(ref?.[field] ?? '', `${at}.${field}`, out);
}

const metricTypes = ['ContainerResource', 'External', 'Object', 'Pods', 'Resource'] as const;
const fieldOf = {
  ContainerResource: 'containerResource',
  External: 'external',
  Object: 'object',
  Pods: 'pods',
  Resource: 'resource',
} as const;

function validateMetric(metric: MetricSpec, at: string, out: Causes): void {
  if (!required(metric.type, `${at}.type`, out, 'must specify a metric source type')) return;
  oneOf(metric.type, metricTypes, `${at}.type`, out);
  const wanted = fieldOf[metric.type as keyof typeof fieldOf];
  for (const type of metricTypes) {
    const field = fieldOf[type];
    if (metric[field] && field !== wanted)
      out.push(causes.forbidden(`${at}.${field}`, 'must populate the given metric source only'));
  }
  if (!wanted) return;
  if (!metric[wanted]) {
    out.push(causes.required(`${at}.${wanted}`, 'must populate information for the given metric source'));
    return;
  }
  validateSource(metric, at, out);
}

function validateSource(metric: MetricSpec, at: string, out: Causes): void {
  const { object, pods, external, resource, containerResource } = metric;
  const named = (m: { readonly metric?: { readonly name?: string; readonly selector?: object } }, path: string) => {
    if (required(m.metric?.name, `${path}.metric.name`, out))
      pathSegment(m.metric?.name ?? '', `${path}.metric.name`, out);
    validateLabelSelector(m.metric?.selector, `${path}.metric.selector`, out);
  };
  if (metric.type === 'Object' && object) {
    validateReference(object.describedObject, `${at}.object.describedObject`, out);
    named(object, `${at}.object`);
    validateTarget(object.target, `${at}.object.target`, out);
    one(object.target, ['value', 'averageValue'], `${at}.object.target`, out);
  }
  if (metric.type === 'Pods' && pods) {
    named(pods, `${at}.pods`);
    validateTarget(pods.target, `${at}.pods.target`, out);
    if (pods.target?.averageValue === undefined)
      out.push(causes.required(`${at}.pods.target.averageValue`, 'must specify a positive target averageValue'));
  }
  if (metric.type === 'External' && external) {
    named(external, `${at}.external`);
    validateTarget(external.target, `${at}.external.target`, out);
    one(external.target, ['value', 'averageValue'], `${at}.external.target`, out);
  }
  const own =
    metric.type === 'Resource' ? resource : metric.type === 'ContainerResource' ? containerResource : undefined;
  if (!own) return;
  const path = `${at}.${fieldOf[metric.type as keyof typeof fieldOf]}`;
  required(own.name, `${path}.name`, out, 'must specify a resource name');
  if ('container' in own || metric.type === 'ContainerResource')
    required(containerResource?.container, `${path}.container`, out, 'must specify a container');
  validateTarget(own.target, `${path}.target`, out);
  if (own.target?.averageUtilization === undefined && own.target?.averageValue === undefined)
    out.push(
      causes.required(
        `${path}.target.averageUtilization`,
        'must set either a target raw value or a target utilization',
      ),
    );
  if (own.target?.averageUtilization !== undefined && own.target.averageValue !== undefined)
    out.push(
      causes.forbidden(`${path}.target.averageValue`, 'may not set both a target raw value and a target utilization'),
    );
}

function one(target: MetricTarget | undefined, fields: readonly (keyof MetricTarget)[], at: string, out: Causes): void {
  const given = fields.filter((f) => target?.[f] !== undefined);
  if (given.length === 0)
    out.push(causes.required(`${at}.averageValue`, 'must set either a target value for metric or a per-pod target'));
  if (given.length > 1)
    out.push(causes.forbidden(`${at}.value`, 'may not set both a target value for metric and a per-pod target'));
}

function validateTarget(target: MetricTarget | undefined, at: string, out: Causes): void {
  oneOf(target?.type, ['AverageValue', 'Utilization', 'Value'], `${at}.type`, out);
  for (const field of ['value', 'averageValue'] as const) {
    const amount = target?.[field];
    if (amount !== undefined && parseQuantity(amount).nano <= 0n)
      out.push(causes.invalid(`${at}.${field}`, amount, 'must be positive'));
  }
  if (target?.averageUtilization !== undefined && target.averageUtilization < 1)
    out.push(causes.invalid(`${at}.averageUtilization`, target.averageUtilization, 'must be greater than 0'));
}

const longestWindow = 3600;
const longestPeriod = 1800;

function validateScaling(spec: HorizontalPodAutoscaler['spec'], direction: 'scaleUp' | 'scaleDown', out: Causes): void {
  const rules = spec?.behavior?.[direction];
  const at = `spec.behavior.${direction}`;
  if (!rules) return;
  nonNegative(rules.stabilizationWindowSeconds, `${at}.stabilizationWindowSeconds`, out);
  if ((rules.stabilizationWindowSeconds ?? 0) > longestWindow)
    out.push(
      causes.invalid(
        `${at}.stabilizationWindowSeconds`,
        rules.stabilizationWindowSeconds,
        `must be less than or equal to ${longestWindow}`,
      ),
    );
  if (rules.selectPolicy !== undefined)
    oneOf(rules.selectPolicy, ['Disabled', 'Max', 'Min'], `${at}.selectPolicy`, out);
  required(rules.policies, `${at}.policies`, out, 'must specify at least one Policy');
  for (const [i, policy] of (rules.policies ?? []).entries()) {
    const path = `${at}.policies[${i}]`;
    oneOf(policy.type, ['Percent', 'Pods'], `${path}.type`, out);
    if (policy.value <= 0) out.push(causes.invalid(`${path}.value`, policy.value, 'must be greater than zero'));
    if (policy.periodSeconds <= 0)
      out.push(causes.invalid(`${path}.periodSeconds`, policy.periodSeconds, 'must be greater than zero'));
    if (policy.periodSeconds > longestPeriod)
      out.push(
        causes.invalid(`${path}.periodSeconds`, policy.periodSeconds, `must be less than or equal to ${longestPeriod}`),
      );
  }
}
