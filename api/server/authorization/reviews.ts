import { invalid, type KubeObject, type StatusCause } from '@trimtab/machinery';
import type { AccessAttributes, Authorizer, CreateOnlyHandler, CreateOnlyHandlers, UserInfo } from '../contracts.js';

const group = 'authorization.k8s.io';

interface ReviewSpec {
  readonly resourceAttributes?: {
    readonly namespace?: string;
    readonly verb?: string;
    readonly group?: string;
    readonly version?: string;
    readonly resource?: string;
    readonly subresource?: string;
    readonly name?: string;
  };
  readonly nonResourceAttributes?: { readonly path?: string; readonly verb?: string };
  readonly user?: string;
  readonly uid?: string;
  readonly groups?: readonly string[];
  readonly extra?: Readonly<Record<string, readonly string[]>>;
  readonly namespace?: string;
}

type Review = KubeObject & { readonly spec?: ReviewSpec };

function attributesOf(spec: ReviewSpec, user: UserInfo): AccessAttributes {
  const asked = spec.resourceAttributes;
  if (!asked)
    return { user, verb: spec.nonResourceAttributes?.verb ?? '', path: spec.nonResourceAttributes?.path ?? '' };
  return {
    user,
    verb: asked.verb ?? '',
    resource: {
      group: asked.group ?? '',
      version: asked.version ?? '',
      resource: asked.resource ?? '',
      subresource: asked.subresource ?? '',
      namespace: asked.namespace ?? '',
      name: asked.name ?? '',
    },
  };
}

function check(spec: ReviewSpec, kind: string, needsUser: boolean): void {
  const causes: StatusCause[] = [];
  const add = (field: string, value: string, why: string) =>
    causes.push({ reason: 'FieldValueInvalid', field, message: `Invalid value: ${value}: ${why}` });
  if (spec.resourceAttributes && spec.nonResourceAttributes)
    add(
      'spec.nonResourceAttributes',
      JSON.stringify(spec.nonResourceAttributes),
      'cannot be specified in combination with resourceAttributes',
    );
  if (!spec.resourceAttributes && !spec.nonResourceAttributes)
    add(
      'spec.resourceAttributes',
      'null',
      'exactly one of nonResourceAttributes or resourceAttributes must be specified',
    );
  if (needsUser && !spec.user && !spec.groups?.length)
    add('spec.user', '""', 'at least one of user or group must be specified');
  if (causes.length > 0) throw invalid({ group, kind }, '', causes);
}

/** The four `authorization.k8s.io` reviews, answered by the authorizer that guards every request. */
export function accessReviewHandlers(authorizer: Authorizer): CreateOnlyHandlers {
  const decide = (object: KubeObject, user: UserInfo): KubeObject => {
    const spec = (object as Review).spec ?? {};
    const { allowed, reason } = authorizer.authorize(attributesOf(spec, user));
    return {
      ...object,
      metadata: object.metadata ?? {},
      status: { allowed, ...(reason ? { reason } : {}) },
    } as KubeObject;
  };
  const named = (spec: ReviewSpec): UserInfo => ({
    name: spec.user ?? '',
    ...(spec.uid ? { uid: spec.uid } : {}),
    groups: spec.groups ?? [],
    ...(spec.extra ? { extra: spec.extra } : {}),
  });

  const subject: CreateOnlyHandler = {
    create(object) {
      const spec = (object as Review).spec ?? {};
      check(spec, 'SubjectAccessReview', true);
      return decide(object, named(spec));
    },
  };
  const localSubject: CreateOnlyHandler = {
    create(object, { namespace }) {
      const spec = (object as Review).spec ?? {};
      check(spec, 'LocalSubjectAccessReview', true);
      const asked = spec.resourceAttributes?.namespace ?? '';
      if (!spec.resourceAttributes || asked !== namespace)
        throw invalid({ group, kind: 'LocalSubjectAccessReview' }, '', [
          {
            reason: 'FieldValueInvalid',
            field: 'spec.resourceAttributes.namespace',
            message: `Invalid value: ${JSON.stringify(asked)}: must match the namespace of the request, "${namespace}"`,
          },
        ]);
      return decide(object, named(spec));
    },
  };
  const self: CreateOnlyHandler = {
    create(object, { user }) {
      check((object as Review).spec ?? {}, 'SelfSubjectAccessReview', false);
      return decide(object, user);
    },
  };
  const rules: CreateOnlyHandler = {
    create(object, { user }) {
      const namespace = (object as Review).spec?.namespace ?? '';
      if (namespace === '')
        throw invalid({ group, kind: 'SelfSubjectRulesReview' }, '', [
          { reason: 'FieldValueRequired', field: 'spec.namespace', message: 'Required value: no namespace on request' },
        ]);
      const found = authorizer.rulesFor?.(user, namespace) ?? { resourceRules: [], nonResourceRules: [] };
      return { ...object, metadata: object.metadata ?? {}, status: { ...found, incomplete: false } } as KubeObject;
    },
  };
  return {
    [`${group}/subjectaccessreviews`]: subject,
    [`${group}/localsubjectaccessreviews`]: localSubject,
    [`${group}/selfsubjectaccessreviews`]: self,
    [`${group}/selfsubjectrulesreviews`]: rules,
  };
}
