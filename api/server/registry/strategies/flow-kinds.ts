import { causes, type FlowSchema, type PriorityLevelConfiguration } from '@trimtab/machinery';
import { type Causes, dnsLabel, inRange, nonNegative, oneOf, optionalOneOf, required } from './checks.js';
import type { KindRules } from './typed.js';

/** API priority and fairness (kubernetes: pkg/apis/flowcontrol/validation). */

const verbs = ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'proxy', 'update', 'watch'];
const nonResourceVerbs = ['connect', 'delete', 'get', 'head', 'options', 'patch', 'post', 'put', 'trace'];

type Subject = NonNullable<NonNullable<FlowSchema['spec']>['rules']>[number]['subjects'][number];

export const flowSchema: KindRules<FlowSchema> = {
  prepareForCreate: (object) => ({ ...object, status: {} }),
  validate({ metadata, spec }, out) {
    if ((spec?.matchingPrecedence ?? 0) <= 0)
      out.push(causes.invalid('spec.matchingPrecedence', spec?.matchingPrecedence, 'must be a positive value'));
    if ((spec?.matchingPrecedence ?? 0) > 10_000)
      out.push(causes.invalid('spec.matchingPrecedence', spec?.matchingPrecedence, 'must not be greater than 10000'));
    if (spec?.matchingPrecedence === 1 && metadata.name !== 'exempt')
      out.push(
        causes.invalid(
          'spec.matchingPrecedence',
          spec.matchingPrecedence,
          "only the schema named 'exempt' may have matchingPrecedence 1",
        ),
      );
    if (spec?.distinguisherMethod)
      oneOf(spec.distinguisherMethod.type, ['ByNamespace', 'ByUser'], 'spec.distinguisherMethod', out);
    const level = spec?.priorityLevelConfiguration?.name;
    if (required(level, 'spec.priorityLevelConfiguration.name', out, 'must reference a priority level'))
      dnsLabelOrDots(level ?? '', 'spec.priorityLevelConfiguration.name', out);
    for (const [i, rule] of (spec?.rules ?? []).entries()) {
      const at = `spec.rules[${i}]`;
      required(rule.subjects, `${at}.subjects`, out, 'subjects must contain at least one value');
      for (const [j, subject] of (rule.subjects ?? []).entries()) validateSubject(subject, `${at}.subjects[${j}]`, out);
      if (!rule.resourceRules?.length && !rule.nonResourceRules?.length)
        out.push(causes.required(at, 'at least one of resourceRules and nonResourceRules has to be non-empty'));
      for (const [j, r] of (rule.resourceRules ?? []).entries()) {
        const path = `${at}.resourceRules[${j}]`;
        validateVerbs(r.verbs, verbs, `${path}.verbs`, out);
        required(r.apiGroups, `${path}.apiGroups`, out, 'resource rules must supply at least one api group');
        required(r.resources, `${path}.resources`, out, 'resource rules must supply at least one resource');
        if (!r.namespaces?.length && !r.clusterScope)
          out.push(
            causes.required(
              `${path}.namespaces`,
              'resource rules that are not cluster scoped must supply at least one namespace',
            ),
          );
      }
      for (const [j, r] of (rule.nonResourceRules ?? []).entries()) {
        const path = `${at}.nonResourceRules[${j}]`;
        validateVerbs(r.verbs, nonResourceVerbs, `${path}.verbs`, out);
        required(r.nonResourceURLs, `${path}.nonResourceURLs`, out, 'nonResourceURLs must contain at least one value');
      }
    }
  },
};

const dnsLabelOrDots = (name: string, at: string, out: Causes): void => {
  for (const part of name.split('.')) dnsLabel(part, at, out);
};

function validateVerbs(given: readonly string[] | undefined, known: readonly string[], at: string, out: Causes): void {
  required(given, at, out, 'verbs must contain at least one value');
  if (given?.includes('*') && given.length > 1)
    out.push(causes.invalid(at, given, "if '*' is present, must not specify other verbs"));
  else
    for (const verb of given ?? [])
      if (verb !== '*' && !known.includes(verb)) out.push(causes.notSupported(at, given, known));
}

function validateSubject(subject: Subject, at: string, out: Causes): void {
  const fields = { Group: 'group', ServiceAccount: 'serviceAccount', User: 'user' } as const;
  optionalOneOf(subject.kind, Object.keys(fields), `${at}.kind`, out);
  const field = fields[subject.kind as keyof typeof fields];
  if (!field) return;
  const named = subject[field];
  if (!named)
    out.push(causes.required(`${at}.${field}`, `${field} is required when subject kind is '${subject.kind}'`));
  else if (required(named.name, `${at}.${field}.name`, out) && subject.kind === 'ServiceAccount')
    required(
      subject.serviceAccount?.namespace,
      `${at}.serviceAccount.namespace`,
      out,
      'must specify namespace for service account',
    );
}

export const priorityLevel: KindRules<PriorityLevelConfiguration> = {
  prepareForCreate: (object) => ({ ...object, status: {} }),
  validate({ metadata, spec }, out) {
    const exempt = metadata.name === 'exempt';
    if (exempt !== (spec?.type === 'Exempt'))
      out.push(
        causes.invalid(
          'spec.type',
          spec?.type,
          exempt
            ? "must be 'Exempt' if the name is 'exempt'"
            : "type must be 'Exempt' if and only if `name` is 'exempt'",
        ),
      );
    if (spec?.type === 'Exempt') {
      if (spec.limited) out.push(causes.forbidden('spec.limited', 'must be nil if the type is not Limited'));
      return;
    }
    if (spec?.type !== 'Limited') {
      out.push(causes.notSupported('spec.type', spec?.type ?? '', ['Exempt', 'Limited']));
      return;
    }
    if (spec.exempt) out.push(causes.forbidden('spec.exempt', 'must be nil if the type is Limited'));
    const { limited } = spec;
    if (!limited) {
      out.push(causes.required('spec.limited', 'must not be empty when type is Limited'));
      return;
    }
    const at = 'spec.limited';
    nonNegative(limited.nominalConcurrencyShares, `${at}.nominalConcurrencyShares`, out);
    inRange(limited.lendablePercent, 0, 100, `${at}.lendablePercent`, out);
    if (limited.borrowingLimitPercent !== undefined && limited.borrowingLimitPercent < 0)
      out.push(
        causes.invalid(
          `${at}.borrowingLimitPercent`,
          limited.borrowingLimitPercent,
          'if specified, must be a non-negative integer',
        ),
      );
    const { type, queuing } = limited.limitResponse ?? {};
    if (type === 'Reject') {
      if (queuing)
        out.push(
          causes.forbidden(`${at}.limitResponse.queuing`, 'must be nil if limited.limitResponse.type is not Limited'),
        );
    } else if (type !== 'Queue')
      out.push(causes.notSupported(`${at}.limitResponse.type`, type ?? '', ['Queue', 'Reject']));
    else if (!queuing)
      out.push(
        causes.required(`${at}.limitResponse.queuing`, 'must not be empty if limited.limitResponse.type is Limited'),
      );
    else
      for (const [field, value] of Object.entries(queuing))
        if (typeof value === 'number' && value <= 0)
          out.push(causes.invalid(`${at}.limitResponse.queuing.${field}`, value, 'must be positive'));
  },
};
