import { type Clock, invalid, type KubeObject, timestamp } from '@trimtab/machinery';
import type { CreateOnlyHandler, UserInfo } from '../contracts.js';
import { acceptToken } from './authenticate.js';
import { withAuthenticatedGroup } from './groups.js';
import type { TokenAuthenticator } from './token-authenticator.js';

/** A user as the `authentication.k8s.io` kinds spell it. */
export function userInfoJson(user: UserInfo): object {
  return {
    username: user.name,
    ...(user.uid ? { uid: user.uid } : {}),
    groups: user.groups,
    ...(user.extra && Object.keys(user.extra).length > 0 ? { extra: user.extra } : {}),
  };
}

/** `tokenreviews`: whose a token is, and for which of the audiences asked about it is good. */
export function tokenReviewHandler(
  authenticators: readonly TokenAuthenticator[],
  apiAudiences: readonly string[],
): CreateOnlyHandler {
  return {
    async create(object) {
      const { spec } = object as {
        readonly spec?: { readonly token?: string; readonly audiences?: readonly string[] };
      };
      if (!spec?.token)
        throw invalid({ group: 'authentication.k8s.io', kind: 'TokenReview' }, '', [
          { reason: 'FieldValueRequired', field: 'spec.token', message: 'Required value' },
        ]);
      const audiences = spec.audiences?.length ? spec.audiences : apiAudiences;
      const accepted = await acceptToken(authenticators, spec.token, audiences);
      const status =
        'user' in accepted
          ? {
              authenticated: true,
              user: userInfoJson({ ...accepted.user, groups: withAuthenticatedGroup(accepted.user.groups) }),
              audiences: accepted.audiences,
            }
          : { authenticated: false, user: {}, error: accepted.error };
      return { ...object, metadata: object.metadata ?? {}, status } as KubeObject;
    },
  };
}

/** `selfsubjectreviews` (`kubectl auth whoami`): the asking user, after impersonation. */
export function selfSubjectReviewHandler(clock: Clock): CreateOnlyHandler {
  return {
    create: (object, { user }) =>
      ({
        ...object,
        metadata: { ...object.metadata, creationTimestamp: timestamp(clock.now()) },
        status: { userInfo: userInfoJson(user) },
      }) as KubeObject,
  };
}
