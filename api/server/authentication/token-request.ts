import {
  badRequest,
  type Clock,
  conflict,
  invalid,
  type KubeObject,
  notFound,
  type StatusCause,
  timestamp,
} from '@trimtab/machinery';
import type { CreateOnlyHandler, ObjectReader } from '../contracts.js';
import type { BoundRef, TokenClaims, TokenIssuer } from './service-account-tokens.js';

interface TokenRequest extends KubeObject {
  readonly spec?: {
    readonly audiences?: readonly string[];
    readonly expirationSeconds?: number;
    readonly boundObjectRef?: {
      readonly kind?: string;
      readonly apiVersion?: string;
      readonly name?: string;
      readonly uid?: string;
    };
  };
}

const minSeconds = 600;
const maxSeconds = 2 ** 32;
const defaultSeconds = 3600;
/**
 * What the volume of every pod's service account asks for. Clients from before tokens ended read theirs once: such a token
 * lives a year, and says when it should have been fetched anew (kubernetes: WarnOnlyBoundTokenExpirationPeriod).
 */
const podSeconds = 3607;
const extendedSeconds = 365 * 86_400;

/**
 * `serviceaccounts/token` (TokenRequest): a token for the service account in the path, living at least 600 s (3600 s where
 * not said), for the API server where no audience is named, bound to a Pod, Secret or Node where one is referred to.
 */
export function tokenRequestHandler(issuer: TokenIssuer, reader: ObjectReader, clock: Clock): CreateOnlyHandler {
  return {
    async create(object, { namespace, name }) {
      const request = object as TokenRequest;
      const spec = request.spec ?? {};
      const account = reader.get('/serviceaccounts', namespace, name);
      if (!account?.metadata.uid) throw notFound({ group: '', resource: 'serviceaccounts' }, name);
      if (request.metadata?.name && request.metadata.name !== name)
        throw badRequest(`the token request is named "${request.metadata.name}", its service account "${name}"`);
      const seconds = spec.expirationSeconds ?? defaultSeconds;
      const causes = checkLifetime(seconds);
      if (causes.length > 0) throw invalid({ group: 'authentication.k8s.io', kind: 'TokenRequest' }, name, causes);

      const audiences = spec.audiences?.length ? spec.audiences : issuer.audiences.slice(0, 1);
      const serviceAccount = { name, uid: account.metadata.uid };
      const bound = bind(reader, namespace, name, spec.boundObjectRef);
      const extended =
        seconds === podSeconds && bound.pod !== undefined && audiences.every((a) => issuer.audiences.includes(a));
      const told = Math.floor(clock.now() / 1000) + seconds;
      const issued = await issuer.issue(
        { namespace, serviceAccount, audiences, ...bound, ...(extended ? { warnAfter: told } : {}) },
        extended ? extendedSeconds : seconds,
      );
      const status = extended ? { ...issued, expirationTimestamp: timestamp(told * 1000) } : issued;
      return {
        ...request,
        kind: 'TokenRequest',
        apiVersion: 'authentication.k8s.io/v1',
        metadata: { ...request.metadata, name, namespace, creationTimestamp: timestamp(clock.now()) },
        spec: { ...spec, audiences, expirationSeconds: seconds },
        status,
      } as KubeObject;
    },
  };
}

function checkLifetime(seconds: number): readonly StatusCause[] {
  const refuse = (why: string): readonly StatusCause[] => [
    {
      reason: 'FieldValueInvalid',
      field: 'spec.expirationSeconds',
      message: `Invalid value: ${seconds}: may not specify a duration ${why}`,
    },
  ];
  if (seconds < minSeconds) return refuse('less than 10 minutes');
  return seconds > maxSeconds ? refuse('larger than 2^32 seconds') : [];
}

function bind(
  reader: ObjectReader,
  namespace: string,
  account: string,
  ref: NonNullable<TokenRequest['spec']>['boundObjectRef'],
): Pick<TokenClaims, 'pod' | 'secret' | 'node'> {
  if (!ref) return {};
  const key = `${ref.apiVersion ?? 'v1'}/${ref.kind ?? ''}`;
  const load = (resource: string, inNamespace: string): { readonly ref: BoundRef; readonly object: KubeObject } => {
    const object = reader.get(`/${resource}`, inNamespace, ref.name ?? '');
    if (!object?.metadata.uid) throw notFound({ group: '', resource }, ref.name ?? '');
    if (ref.uid && ref.uid !== object.metadata.uid)
      throw conflict(
        { group: '', resource },
        ref.name ?? '',
        `the UID in the bound object reference (${ref.uid}) does not match the UID in record (${object.metadata.uid}): the object might have been deleted and then recreated`,
      );
    return { ref: { name: ref.name ?? '', uid: object.metadata.uid }, object };
  };
  switch (key) {
    case 'v1/Pod': {
      const pod = load('pods', namespace);
      const spec = (pod.object as { readonly spec?: { serviceAccountName?: string; nodeName?: string } }).spec;
      if ((spec?.serviceAccountName || 'default') !== account)
        throw badRequest(
          `cannot bind token for serviceaccount "${account}" to pod running with different serviceaccount`,
        );
      const node = spec?.nodeName ? reader.get('/nodes', '', spec.nodeName) : undefined;
      const uid = node?.metadata.uid;
      return { pod: pod.ref, ...(uid ? { node: { name: spec?.nodeName ?? '', uid } } : {}) };
    }
    case 'v1/Secret':
      return { secret: load('secrets', namespace).ref };
    case 'v1/Node':
      return { node: load('nodes', '').ref };
    default:
      throw badRequest(`cannot bind a token to an object of kind "${key}": only v1/Pod, v1/Secret and v1/Node`);
  }
}
