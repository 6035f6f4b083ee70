import { StoreFailedError } from '../engine.js';

/** What to make of a call that was not answered as hoped. */
export interface Failure {
  /**
   * `unknown`: it may have happened; `elsewhere`: it did not, and another member may do it; `refused`: it did not and will not;
   * `full`: it did not, and nothing will be written until somebody mends it.
   */
  readonly type: 'unknown' | 'elsewhere' | 'refused' | 'full';
  readonly error: StoreFailedError;
}

/** The codes of gRPC (grpc: statuscodes.md) that matter here. */
const code = {
  invalidArgument: 3,
  notFound: 5,
  permissionDenied: 7,
  resourceExhausted: 8,
  outOfRange: 11,
  unimplemented: 12,
  unavailable: 14,
  unauthenticated: 16,
};

interface RpcError {
  readonly code: number;
  readonly details?: string;
}

export const isRpcError = (error: unknown): error is RpcError =>
  typeof error === 'object' && error !== null && typeof (error as RpcError).code === 'number';

export const isCompacted = (error: unknown): boolean =>
  isRpcError(error) && error.code === code.outOfRange && /has been compacted/.test(error.details ?? '');

/** There is no such lease. */
export const isNotFound = (error: unknown): boolean => isRpcError(error) && error.code === code.notFound;

export const FULL =
  'etcd has used up its space quota and takes no writes; reads go on. Mend it: compact (etcdctl compact REVISION), then ' +
  'etcdctl defrag and etcdctl alarm disarm, or raise --quota-backend-bytes of its members';

/** Says in words what an error of a call to `endpoint` means. */
export function failureOf(cause: unknown, endpoint: string): Failure {
  const failure = (type: Failure['type'], text: string): Failure => ({
    type,
    error: new StoreFailedError(text, { cause }),
  });
  if (!isRpcError(cause)) return failure('unknown', `etcd at ${endpoint}: ${(cause as Error)?.message ?? cause}`);
  const details = cause.details ?? '';
  const text = `etcd at ${endpoint}: ${details}`;
  if (/database space exceeded/.test(details)) return failure('full', FULL);
  if (/alarm:CORRUPT|corrupt/.test(details))
    return failure(
      'refused',
      `${text}: a member's data differs from the others'; see etcdctl alarm list, and replace that member`,
    );
  switch (cause.code) {
    case code.unauthenticated:
      return failure(
        'refused',
        `${text}. etcd does not know who this is: give a client certificate with --etcd-certfile and --etcd-keyfile whose common name is one of its users`,
      );
    case code.permissionDenied:
      return failure(
        'refused',
        `${text}. The user of the client certificate may not read and write under the prefix: etcdctl role grant-permission ROLE readwrite --prefix=true PREFIX/`,
      );
    case code.invalidArgument:
      if (/user name is empty/.test(details))
        return failure(
          'refused',
          `${text}. etcd wants a user: give a client certificate with --etcd-certfile and --etcd-keyfile whose common name is one`,
        );
      if (/too large/.test(details))
        return failure('refused', `${text}: larger than its members' --max-request-bytes (1.5 MiB unless set)`);
      if (/too many operations/.test(details))
        return failure('refused', `${text}: more than its members' --max-txn-ops (128 unless set)`);
      return failure('refused', text);
    case code.unimplemented:
      return failure('refused', `${endpoint} does not speak etcd's v3 API: ${details}`);
    case code.outOfRange:
      return failure('refused', text);
    case code.resourceExhausted:
      // Too many requests under way (ErrTooManyRequests): it was not proposed.
      return failure(/too many requests/.test(details) ? 'elsewhere' : 'refused', text);
    case code.unavailable:
      if (/No connection established|ECONNREFUSED|ENOTFOUND|EHOSTUNREACH|ENETUNREACH/.test(details))
        return failure('elsewhere', `etcd at ${endpoint} cannot be reached: ${explained(details)}`);
      return failure('unknown', text);
    default:
      return failure('unknown', text);
  }
}

/** Of what a failed connection says, the part that tells why, and which option it is about. */
export function explained(details: string): string {
  const last = /Last error: (.*?)(?:\. Resolution note|$)/.exec(details)?.[1] ?? details;
  if (/self.signed|unable to (verify|get)|UNABLE_TO/i.test(last))
    return `${last}; is --etcd-cafile the authority that signed its certificate?`;
  if (/altname|does not match certificate/i.test(last)) return `${last}; name it in --storage as its certificate does`;
  if (/certificate required|bad certificate|handshake failure|alert/i.test(last))
    return `${last}; it may want --etcd-certfile and --etcd-keyfile`;
  if (/wrong version number|packet length too long/i.test(last))
    return `${last}; it may not speak TLS: leave out --etcd-cafile`;
  return last;
}

/** Before the version there is no fragmentation of watches. */
export function versionProblem(version: string, endpoint: string): StoreFailedError | undefined {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  if (major === 3 && minor >= 4) return undefined;
  return new StoreFailedError(
    major > 3
      ? `etcd at ${endpoint} is version ${version}; this speaks the v3 API, of versions 3.4 and later 3.x`
      : `etcd at ${endpoint} is version ${version}; at least 3.4 is needed`,
  );
}
