import { forbidden, type KubeObject, type StatusCause, timestamp } from '@trimtab/machinery';
import type { AdmissionAttributes, AdmissionPlugin, Authorizer, Strategy, UserInfo } from '../contracts.js';
import { certificateUsages } from './certificate.js';
import { clientSigner, legacyUnknownSigner } from './signers.js';
import { readSigningRequest } from './signing-request.js';

/** CertificateSigningRequest: what the API server itself sees to (kubernetes: pkg/registry/certificates, plugin/pkg/admission/certificates). */

const group = 'certificates.k8s.io';
export const signingRequests = `${group}/certificatesigningrequests`;

interface Condition {
  readonly type: string;
  readonly status?: string;
  readonly lastUpdateTime?: string;
  readonly lastTransitionTime?: string;
}
export interface Csr extends KubeObject {
  readonly spec?: {
    readonly request?: string;
    readonly signerName?: string;
    readonly usages?: readonly string[];
    readonly expirationSeconds?: number;
    readonly username?: string;
    readonly groups?: readonly string[];
  };
  readonly status?: { readonly conditions?: readonly Condition[]; readonly certificate?: string };
}

const verdicts: ReadonlySet<string> = new Set(['Approved', 'Denied']);
const minSeconds = 600;

export const pemOf = (base64: string | undefined): string => Buffer.from(base64 ?? '', 'base64').toString('utf8');
const conditionsOf = (csr: Csr): readonly Condition[] => csr.status?.conditions ?? [];

/** Who asks is written down by the server; verdicts come through `/approval` alone, everything else through `/status`. */
export const signingRequestStrategy: Strategy = {
  prepareForCreate(object, { user }) {
    const { status: _, ...csr } = object as Csr;
    return { ...csr, spec: { ...csr.spec, ...asker(user) }, status: {} } as KubeObject;
  },
  prepareForUpdate(object, old, subresource) {
    const [next, before] = [object as Csr, old as Csr];
    const keep =
      subresource === 'approval' ? (c: Condition) => verdicts.has(c.type) : (c: Condition) => !verdicts.has(c.type);
    const conditions = [...conditionsOf(before).filter((c) => !keep(c)), ...conditionsOf(next).filter(keep)];
    const certificate = subresource === 'status' ? next.status?.certificate : before.status?.certificate;
    const status = {
      ...(conditions.length > 0 ? { conditions } : {}),
      ...(certificate ? { certificate } : {}),
    };
    return { ...next, spec: before.spec, status } as KubeObject;
  },
  validate: (object) => problems(object as Csr),
  validateUpdate: (object, old) => changes(object as Csr, old as Csr),
};

const asker = ({ name, uid, groups, extra }: UserInfo): object => ({
  username: name,
  ...(uid ? { uid } : { uid: undefined }),
  groups: [...groups],
  extra: extra && Object.keys(extra).length > 0 ? extra : undefined,
});

const cause = (reason: StatusCause['reason'], field: string, message: string): StatusCause => ({
  reason,
  field,
  message,
});
const wrong = (field: string, value: unknown, why: string): StatusCause =>
  cause('FieldValueInvalid', field, `Invalid value: ${JSON.stringify(value)}: ${why}`);

function problems(csr: Csr): readonly StatusCause[] {
  const { request, signerName = '', usages = [], expirationSeconds } = csr.spec ?? {};
  const found: StatusCause[] = [];
  if (!request) found.push(cause('FieldValueRequired', 'spec.request', 'Required value'));
  else
    try {
      readSigningRequest(pemOf(request));
    } catch (error) {
      found.push(wrong('spec.request', request, (error as Error).message));
    }
  if (usages.length === 0) found.push(cause('FieldValueRequired', 'spec.usages', 'usages is required'));
  usages.forEach((usage, i) => {
    if (!certificateUsages.includes(usage))
      found.push(
        cause(
          'FieldValueNotSupported',
          `spec.usages[${i}]`,
          `Unsupported value: "${usage}": supported values: ${certificateUsages.map((u) => `"${u}"`).join(', ')}`,
        ),
      );
    else if (usages.indexOf(usage) < i)
      found.push(cause('FieldValueDuplicate', `spec.usages[${i}]`, `Duplicate value: "${usage}"`));
  });
  if (signerName === legacyUnknownSigner)
    found.push(
      wrong('spec.signerName', signerName, `"${legacyUnknownSigner}" is not allowed in certificates.k8s.io/v1`),
    );
  else found.push(...signerNameProblems(signerName));
  if (expirationSeconds !== undefined && expirationSeconds < minSeconds)
    found.push(
      wrong(
        'spec.expirationSeconds',
        expirationSeconds,
        'may not specify a duration less than 600 seconds (10 minutes)',
      ),
    );
  return found;
}

const domain = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)+$/;
const path = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;

function signerNameProblems(name: string): readonly StatusCause[] {
  if (name === '') return [cause('FieldValueRequired', 'spec.signerName', 'Required value')];
  const [host = '', ...rest] = name.split('/');
  if (rest.length !== 1 || !rest[0])
    return [
      wrong('spec.signerName', name, 'must be a fully qualified domain and path of the form "example.com/signer-name"'),
    ];
  return domain.test(host) && host.length <= 253 && path.test(rest[0]) && name.length <= 571
    ? []
    : [
        wrong(
          'spec.signerName',
          name,
          'should be a domain with at least two segments separated by dots, a slash, and a name',
        ),
      ];
}

function changes(csr: Csr, old: Csr): readonly StatusCause[] {
  const found: StatusCause[] = [];
  const types = conditionsOf(csr).map((c) => c.type);
  for (const type of verdicts)
    if (conditionsOf(old).some((c) => c.type === type) && !types.includes(type))
      found.push(
        cause(
          'FieldValueForbidden',
          'status.conditions',
          `Forbidden: updates may not remove a condition of type "${type}"`,
        ),
      );
  if (types.includes('Approved') && types.includes('Denied'))
    found.push(wrong('status.conditions', 'Denied', 'Approved and Denied conditions are mutually exclusive'));
  types.forEach((type, i) => {
    const field = `status.conditions[${i}]`;
    if (!type) found.push(cause('FieldValueRequired', `${field}.type`, 'Required value'));
    else if (types.indexOf(type) < i)
      found.push(cause('FieldValueDuplicate', `${field}.type`, `Duplicate value: "${type}"`));
    const { status = 'True' } = conditionsOf(csr)[i]!;
    if ((verdicts.has(type) || type === 'Failed') && status !== 'True')
      found.push(
        cause('FieldValueNotSupported', `${field}.status`, `Unsupported value: "${status}": supported values: "True"`),
      );
  });
  const [before, after] = [old.status?.certificate, csr.status?.certificate];
  if (before && after !== before)
    found.push(
      cause(
        'FieldValueForbidden',
        'status.certificate',
        'Forbidden: updates may not change a certificate that was issued',
      ),
    );
  if (after && after !== before && !/-----BEGIN CERTIFICATE-----/.test(pemOf(after)))
    found.push(
      wrong('status.certificate', '<certificate data>', 'must contain one or more PEM blocks of type CERTIFICATE'),
    );
  return found;
}

/**
 * Approving needs the verb `approve` on the signer, signing the verb `sign` (resource `signers`, named by the signer or by
 * `<domain>/*`), beside the write itself; and nobody gets into `system:masters` by a certificate.
 */
export function signingRequestAdmission(authorizer: Authorizer, now: () => number): AdmissionPlugin {
  const may = (user: UserInfo, verb: string, signer: string): boolean =>
    [signer, `${signer.split('/')[0]}/*`].some(
      (name) =>
        authorizer.authorize({
          user,
          verb,
          resource: { group, version: 'v1', resource: 'signers', subresource: '', namespace: '', name },
        }).allowed,
    );
  const refuse = ({ name }: AdmissionAttributes, why: string): never => {
    throw forbidden({ group, resource: 'certificatesigningrequests' }, name, why);
  };
  return {
    name: 'CertificateSigningRequests',
    mutate({ type, operation, object, oldObject }) {
      const csr = object as Csr;
      if (type.group !== group || type.resource !== 'certificatesigningrequests' || operation !== 'UPDATE') return csr;
      const before = new Map(conditionsOf(oldObject as Csr).map((c) => [c.type, c]));
      const time = timestamp(now());
      const conditions = conditionsOf(csr).map((c) => {
        const old = before.get(c.type);
        const lastTransitionTime =
          c.lastTransitionTime ?? (old?.status === c.status ? old?.lastTransitionTime : undefined) ?? time;
        return { ...c, status: c.status || 'True', lastUpdateTime: c.lastUpdateTime ?? time, lastTransitionTime };
      });
      return conditions.length === 0 ? csr : ({ ...csr, status: { ...csr.status, conditions } } as KubeObject);
    },
    validate(attributes) {
      const { type, operation, subresource, user, object, oldObject } = attributes;
      if (type.group !== group || type.resource !== 'certificatesigningrequests') return;
      const signer = ((oldObject ?? object) as Csr | undefined)?.spec?.signerName ?? '';
      if (operation === 'CREATE' && signer === clientSigner) {
        if (readSigningRequest(pemOf((object as Csr).spec?.request)).organizations.includes('system:masters'))
          refuse(attributes, `use of ${clientSigner} signer with system:masters group is not allowed`);
      }
      if (operation !== 'UPDATE') return;
      if (subresource === 'approval' && !may(user, 'approve', signer))
        refuse(attributes, `user not permitted to approve requests with signerName "${signer}"`);
      if (subresource !== 'status') return;
      const same = JSON.stringify((object as Csr).status ?? {}) === JSON.stringify((oldObject as Csr).status ?? {});
      if (!same && !may(user, 'sign', signer))
        refuse(attributes, `user not permitted to sign requests with signerName "${signer}"`);
    },
  };
}
