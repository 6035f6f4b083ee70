import type {
  CertificateSigningRequest,
  ClusterRoleBinding,
  ClusterTrustBundle,
  FlowSchema,
  MutatingAdmissionPolicy,
  MutatingAdmissionPolicyBinding,
  MutatingWebhookConfiguration,
  ParamKind,
  ParamRef,
  PriorityLevelConfiguration,
  ResourceClaim,
  ResourceSlice,
  RoleBinding,
  StorageVersion,
  StorageVersionMigration,
  ValidatingAdmissionPolicy,
  ValidatingAdmissionPolicyBinding,
  ValidatingWebhookConfiguration,
} from '../generated/types.js';
import { ageColumn, type Column, column, integer, listText, nameColumn, type Printer, wide } from './column.js';
import { humanDuration } from './duration.js';
import { selectorText } from './workloads.js';

/** Who may do what, and what happens to requests on their way: rights, certificates, admission, flow control. */

type Binding = RoleBinding | ClusterRoleBinding;

function subjects({ subjects: all = [] }: Binding, kind: string): string {
  return all
    .filter((subject) => subject.kind === kind)
    .map((subject) =>
      kind === 'ServiceAccount' && subject.namespace ? `${subject.namespace}/${subject.name}` : subject.name,
    )
    .join(', ');
}

export const roleBindingPrinter: Printer<Binding> = {
  columns: [
    nameColumn,
    column('Role', 'Role that is granted.', ({ roleRef }: Binding) => `${roleRef?.kind}/${roleRef?.name}`),
    ageColumn,
    column('Users', 'Users it is granted to.', (b: Binding) => subjects(b, 'User'), wide),
    column('Groups', 'Groups it is granted to.', (b: Binding) => subjects(b, 'Group'), wide),
    column(
      'ServiceAccounts',
      'Service accounts it is granted to.',
      (b: Binding) => subjects(b, 'ServiceAccount'),
      wide,
    ),
  ],
};

function signingState({ status }: CertificateSigningRequest): string {
  const has = (type: string): boolean => status?.conditions?.some((condition) => condition.type === type) ?? false;
  const decision = has('Denied') ? 'Denied' : has('Approved') ? 'Approved' : 'Pending';
  return `${decision}${has('Failed') ? ',Failed' : ''}${status?.certificate ? ',Issued' : ''}`;
}

export const certificateSigningRequestPrinter: Printer<CertificateSigningRequest> = {
  columns: [
    nameColumn,
    ageColumn,
    column('SignerName', 'Who is to sign.', (r: CertificateSigningRequest) => r.spec?.signerName || '<none>'),
    column('Requestor', 'Who asks.', (r: CertificateSigningRequest) => r.spec?.username ?? ''),
    column('RequestedDuration', 'How long the certificate should last.', ({ spec }: CertificateSigningRequest) =>
      spec?.expirationSeconds === undefined ? '<none>' : humanDuration(spec.expirationSeconds * 1000),
    ),
    column('Condition', 'What has been decided.', signingState),
  ],
};

export const clusterTrustBundlePrinter: Printer<ClusterTrustBundle> = {
  columns: [
    nameColumn,
    column('SignerName', 'Signer the bundle is for.', (b: ClusterTrustBundle) => b.spec?.signerName || '<none>'),
  ],
};

type Webhooks = MutatingWebhookConfiguration | ValidatingWebhookConfiguration;

export const webhookPrinter: Printer<Webhooks> = {
  columns: [
    nameColumn,
    column('Webhooks', 'Number of webhooks.', (w: Webhooks) => w.webhooks?.length ?? 0, integer),
    ageColumn,
  ],
};

const paramKindText = (kind: ParamKind | undefined): string => (kind ? `${kind.apiVersion}/${kind.kind}` : '<unset>');

export const validatingAdmissionPolicyPrinter: Printer<ValidatingAdmissionPolicy> = {
  columns: [
    nameColumn,
    column(
      'Validations',
      'Number of rules.',
      (p: ValidatingAdmissionPolicy) => p.spec?.validations?.length ?? 0,
      integer,
    ),
    column('ParamKind', 'Kind of the parameters.', (p: ValidatingAdmissionPolicy) => paramKindText(p.spec?.paramKind)),
    ageColumn,
  ],
};

export const mutatingAdmissionPolicyPrinter: Printer<MutatingAdmissionPolicy> = {
  columns: [
    nameColumn,
    column('Mutations', 'Number of rules.', (p: MutatingAdmissionPolicy) => p.spec?.mutations?.length ?? 0, integer),
    column('ParamKind', 'Kind of the parameters.', (p: MutatingAdmissionPolicy) => paramKindText(p.spec?.paramKind)),
    ageColumn,
  ],
};

type PolicyBinding = ValidatingAdmissionPolicyBinding | MutatingAdmissionPolicyBinding;

function paramText(reference: ParamRef | undefined): string {
  if (reference?.name) return `${reference.namespace || '*'}/${reference.name}`;
  return reference?.selector ? selectorText(reference.selector) : '<unset>';
}

export const policyBindingPrinter: Printer<PolicyBinding> = {
  columns: [
    nameColumn,
    column('PolicyName', 'Policy that is bound.', (b: PolicyBinding) => b.spec?.policyName ?? ''),
    column('ParamRef', 'Parameters of the policy.', (b: PolicyBinding) => paramText(b.spec?.paramRef)),
    ageColumn,
  ],
};

export const flowSchemaPrinter: Printer<FlowSchema> = {
  columns: [
    nameColumn,
    column(
      'PriorityLevel',
      'Priority level of the requests.',
      (s: FlowSchema) => s.spec?.priorityLevelConfiguration?.name ?? '',
    ),
    column('MatchingPrecedence', 'Lower is asked first.', (s: FlowSchema) => s.spec?.matchingPrecedence ?? 0),
    column(
      'DistinguisherMethod',
      'What tells flows apart.',
      (s: FlowSchema) => s.spec?.distinguisherMethod?.type ?? '<none>',
    ),
    ageColumn,
    column(
      'MissingPL',
      'Whether the priority level is missing.',
      (s: FlowSchema) => s.status?.conditions?.find((condition) => condition.type === 'Dangling')?.status ?? '?',
    ),
  ],
};

type Level = PriorityLevelConfiguration;
const queuing = (level: Level) => level.spec?.limited?.limitResponse?.queuing;

const queueColumn = (
  name: string,
  description: string,
  field: 'queues' | 'handSize' | 'queueLengthLimit',
): Column<Level> => column(name, description, (level: Level) => queuing(level)?.[field] ?? '<none>');

export const priorityLevelPrinter: Printer<Level> = {
  columns: [
    nameColumn,
    column('Type', 'Limited or Exempt.', (level: Level) => level.spec?.type ?? ''),
    column(
      'NominalConcurrencyShares',
      'Share of the seats.',
      (level: Level) => level.spec?.limited?.nominalConcurrencyShares ?? '<none>',
    ),
    queueColumn('Queues', 'Number of queues.', 'queues'),
    queueColumn('HandSize', 'Queues each flow may use.', 'handSize'),
    queueColumn('QueueLengthLimit', 'Requests a queue may hold.', 'queueLengthLimit'),
    ageColumn,
  ],
};

export const storageVersionPrinter: Printer<StorageVersion> = {
  columns: [
    nameColumn,
    column(
      'CommonEncodingVersion',
      'Version all servers write.',
      (v: StorageVersion) => v.status?.commonEncodingVersion ?? '<unset>',
    ),
    column('StorageVersions', 'Version each server writes.', (v: StorageVersion) =>
      listText(
        (v.status?.storageVersions ?? []).map((each) => `${each.apiServerID}=${each.encodingVersion}`),
        3,
        '<unset>',
      ),
    ),
    ageColumn,
  ],
};

export const storageVersionMigrationPrinter: Printer<StorageVersionMigration> = {
  columns: [
    { ...nameColumn, format: '' },
    column('Resource', 'Resource to migrate.', ({ spec }: StorageVersionMigration) =>
      [spec?.resource?.resource, spec?.resource?.group].filter(Boolean).join('.'),
    ),
  ],
};

function claimState({ metadata, status }: ResourceClaim): string {
  const deleted = metadata.deletionTimestamp !== undefined;
  if (!status?.allocation) return deleted ? 'deleted' : 'pending';
  return [deleted ? 'deleted' : '', 'allocated', status.reservedFor?.length ? 'reserved' : '']
    .filter(Boolean)
    .join(',');
}

export const resourceClaimPrinter: Printer<ResourceClaim> = {
  columns: [nameColumn, column('State', 'Pending, allocated, reserved or deleted.', claimState), ageColumn],
};

export const resourceSlicePrinter: Printer<ResourceSlice> = {
  columns: [
    nameColumn,
    column('Node', 'Node the devices are on.', (s: ResourceSlice) => s.spec?.nodeName ?? ''),
    column('Driver', 'Driver of the devices.', (s: ResourceSlice) => s.spec?.driver ?? ''),
    column('Pool', 'Pool the slice is part of.', (s: ResourceSlice) => s.spec?.pool?.name ?? ''),
    ageColumn,
  ],
};
