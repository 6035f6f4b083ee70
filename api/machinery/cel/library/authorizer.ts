import type { Definition } from '../overload.js';
import { CelOpaque } from '../values.js';

/** What a rule asks: a path, or a verb on a resource; as another service account where it says so. */
export interface CelAccess {
  readonly verb: string;
  readonly serviceAccount?: { readonly namespace: string; readonly name: string };
  readonly path?: string;
  readonly resource?: {
    readonly group: string;
    readonly resource: string;
    readonly subresource: string;
    readonly namespace: string;
    readonly name: string;
    readonly fieldSelector?: string;
    readonly labelSelector?: string;
  };
}

/** Answers for the user of the request being judged. */
export interface CelAuthorizer {
  check(access: CelAccess): { readonly allowed: boolean; readonly reason: string; readonly error?: string };
}

const PREFIX = 'kubernetes.authorization';

/** The value of the variable `authorizer`. */
export class AuthorizerValue extends CelOpaque {
  override readonly type: string = `${PREFIX}.Authorizer`;
  constructor(
    readonly authorizer: CelAuthorizer,
    readonly access: Omit<CelAccess, 'verb'> = {},
  ) {
    super();
  }
  override equals(other: CelOpaque): boolean {
    return this === other;
  }
}

class PathCheck extends AuthorizerValue {
  override readonly type: string = `${PREFIX}.PathCheck`;
}
class GroupCheck extends AuthorizerValue {
  override readonly type: string = `${PREFIX}.GroupCheck`;
}
class ResourceCheck extends AuthorizerValue {
  override readonly type: string = `${PREFIX}.ResourceCheck`;
}

/** The value of the variable `authorizer.requestResource`: the resource of the request. */
export const resourceCheck = (authorizer: CelAuthorizer, resource: NonNullable<CelAccess['resource']>): CelOpaque =>
  new ResourceCheck(authorizer, { resource });

class Decision extends CelOpaque {
  override readonly type = `${PREFIX}.Decision`;
  constructor(readonly answer: ReturnType<CelAuthorizer['check']>) {
    super();
  }
  override equals(other: CelOpaque): boolean {
    return other instanceof Decision && other.answer.allowed === this.answer.allowed;
  }
}

const EMPTY = { group: '', resource: '', subresource: '', namespace: '', name: '' };

const narrowed =
  (field: keyof NonNullable<CelAccess['resource']>) =>
  ({ authorizer, access }: AuthorizerValue, value: string) =>
    new ResourceCheck(authorizer, { ...access, resource: { ...EMPTY, ...access.resource, [field]: value } });

const check = ({ authorizer, access }: AuthorizerValue, verb: string) =>
  new Decision(authorizer.check({ ...access, verb }));

/** Kubernetes prices a look at the authorizer by what it may take. */
const priced = { cost: () => 350_000 };
const RESOURCE = `${PREFIX}.ResourceCheck`;

/** kubernetes/apiserver pkg/cel/library authz. */
export const authorizer: readonly Definition[] = [
  [
    `${PREFIX}.Authorizer.path(string): ${PREFIX}.PathCheck`,
    ({ authorizer, access }: AuthorizerValue, path: string) => new PathCheck(authorizer, { ...access, path }),
  ],
  [
    `${PREFIX}.Authorizer.group(string): ${PREFIX}.GroupCheck`,
    ({ authorizer, access }: AuthorizerValue, group: string) =>
      new GroupCheck(authorizer, { ...access, resource: { ...EMPTY, group } }),
  ],
  [
    `${PREFIX}.Authorizer.serviceAccount(string, string): ${PREFIX}.Authorizer`,
    ({ authorizer }: AuthorizerValue, namespace: string, name: string) =>
      new AuthorizerValue(authorizer, { serviceAccount: { namespace, name } }),
  ],
  [`${PREFIX}.GroupCheck.resource(string): ${RESOURCE}`, narrowed('resource')],
  [`${RESOURCE}.subresource(string): ${RESOURCE}`, narrowed('subresource')],
  [`${RESOURCE}.namespace(string): ${RESOURCE}`, narrowed('namespace')],
  [`${RESOURCE}.name(string): ${RESOURCE}`, narrowed('name')],
  [`${RESOURCE}.fieldSelector(string): ${RESOURCE}`, narrowed('fieldSelector')],
  [`${RESOURCE}.labelSelector(string): ${RESOURCE}`, narrowed('labelSelector')],
  [`${RESOURCE}.check(string): ${PREFIX}.Decision`, check, priced],
  [`${PREFIX}.PathCheck.check(string): ${PREFIX}.Decision`, check, priced],
  [`${PREFIX}.Decision.allowed(): bool`, ({ answer }: Decision) => answer.allowed],
  [`${PREFIX}.Decision.reason(): string`, ({ answer }: Decision) => answer.reason],
  [`${PREFIX}.Decision.errored(): bool`, ({ answer }: Decision) => answer.error !== undefined],
  [`${PREFIX}.Decision.error(): string`, ({ answer }: Decision) => answer.error ?? ''],
];
