import { type KubeObject, type Status, StatusError } from '@trimtab/machinery';

/** Answers that belong to no object. */

export function pathNotFound(): StatusError {
  return new StatusError({
    code: 404,
    reason: 'NotFound',
    message: 'the server could not find the requested resource',
    details: {},
  });
}

/** 501 for what discovery lists and nothing in this server answers. */
export function notServed(what: string): StatusError {
  return new StatusError({ code: 501, reason: 'NotImplemented', message: `this server does not serve ${what}` });
}

export function successStatus(code: number): KubeObject {
  const status: Status = { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', code };
  return status as unknown as KubeObject;
}
