import {
  type CertificateSigningRequest,
  causes,
  equalJson,
  type FlowSchema,
  type PriorityLevelConfiguration,
} from '@trimtab/machinery';
import { type Causes, dnsLabel, immutable, inRange, nonNegative, oneOf, optionalOneOf, required } from './checks.js';
import type { KindRules } from './typed.js';

/** API priority and fairness, and certificate requests (kubernetes: pkg/apis/flowcontrol, pkg/apis/certificates). */

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

const usages = [
  'any',
  'cert sign',
  'client auth',
  'code signing',
  'content commitment',
  'crl sign',
  'data encipherment',
  'decipher only',
  'digital signature',
  'email protection',
  'encipher only',
  'ipsec end system',
  'ipsec tunnel',
  'ipsec user',
  'key agreement',
  'key encipherment',
  'microsoft sgc',
  'netscape sgc',
  'ocsp signing',
  's/mime',
  'server auth',
  'signing',
  'timestamping',
];

const pemRequest = /-----BEGIN (NEW )?CERTIFICATE REQUEST-----[\s\S]+-----END (NEW )?CERTIFICATE REQUEST-----/;

export const certificateSigningRequest: KindRules<CertificateSigningRequest> = {
  prepareForCreate: (object) => ({ ...object, status: {} }),
  /** Who asks and for what never changes once asked. */
  prepareForUpdate: (object, old) => ({ ...object, spec: old.spec }),
  validate({ spec }, out) {
    const text = Buffer.from(spec?.request ?? '', 'base64').toString('latin1');
    if (!pemRequest.test(text))
      out.push(causes.invalid('spec.request', spec?.request ?? null, 'PEM block type must be CERTIFICATE REQUEST'));
    if (required(spec?.usages, 'spec.usages', out))
      for (const [i, usage] of (spec?.usages ?? []).entries()) optionalOneOf(usage, usages, `spec.usages[${i}]`, out);
    for (const [i, usage] of (spec?.usages ?? []).entries())
      if (spec?.usages?.indexOf(usage) !== i) out.push(causes.duplicate(`spec.usages[${i}]`, usage));
    const signer = spec?.signerName ?? '';
    if (required(signer, 'spec.signerName', out)) {
      const [domain = '', path = ''] = signer.split('/');
      if (
        !/^[a-z0-9]([-a-z0-9.]*[a-z0-9])?\.[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/.test(domain) ||
        !path ||
        signer.split('/').length > 2
      )
        out.push(
          causes.invalid(
            'spec.signerName',
            signer,
            'must be a fully qualified domain and path of the form "example.com/signer-name"',
          ),
        );
      if (signer === 'kubernetes.io/legacy-unknown')
        out.push(
          causes.invalid('spec.signerName', signer, 'the legacy signerName is not allowed via this API version'),
        );
    }
    if (spec?.expirationSeconds !== undefined && spec.expirationSeconds < 600)
      out.push(
        causes.invalid(
          'spec.expirationSeconds',
          spec.expirationSeconds,
          'may not specify a duration less than 600 seconds (10 minutes)',
        ),
      );
  },
  validateChange(now, old, out) {
    for (const condition of old.status?.conditions ?? []) {
      if (condition.type !== 'Approved' && condition.type !== 'Denied' && condition.type !== 'Failed') continue;
      if (!now.status?.conditions?.some((c) => c.type === condition.type))
        out.push(
          causes.forbidden('status.conditions', `updates may not remove a condition of type "${condition.type}"`),
        );
    }
    const decided = (now.status?.conditions ?? []).filter((c) => c.type === 'Approved' || c.type === 'Denied');
    if (new Set(decided.map((c) => c.type)).size > 1)
      out.push(
        causes.invalid(
          'status.conditions',
          decided.at(-1)?.type,
          'Approved and Denied conditions are mutually exclusive',
        ),
      );
    if (old.status?.certificate)
      immutable(now.status?.certificate, old.status.certificate, equalJson, 'status.certificate', out);
  },
};
