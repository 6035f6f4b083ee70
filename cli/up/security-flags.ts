import { type Command, InvalidArgumentError, Option } from 'commander';

export const authorizationModes = ['Node', 'RBAC', 'ABAC', 'AlwaysAllow', 'AlwaysDeny'] as const;
export const oidcAlgorithms = ['RS256', 'RS384', 'RS512', 'ES256', 'ES384', 'ES512', 'PS256', 'PS384', 'PS512'];

export const securityDefaults = {
  anonymousAuth: 'true',
  oidcUsernameClaim: 'sub',
  oidcRequiredClaim: [] as readonly string[],
  oidcSigningAlgs: 'RS256',
  requestheaderUsernameHeaders: 'X-Remote-User',
  requestheaderUidHeaders: 'X-Remote-Uid',
  requestheaderGroupHeaders: 'X-Remote-Group',
  requestheaderExtraHeadersPrefix: 'X-Remote-Extra-',
  authorizationMode: 'Node,RBAC',
  auditLogMaxsize: 100,
  auditLogMaxbackup: 10,
  auditLogMaxage: 0,
} as const;

const collect = (value: string, before: readonly string[]): readonly string[] => [...before, value];

function number(value: string): number {
  if (!/^\d{1,9}$/.test(value)) throw new InvalidArgumentError('a whole number is expected');
  return Number(value);
}

/** The API server's own options, under the names kube-apiserver has for them. */
export function securityFlags(command: Command): Command {
  const d = securityDefaults;
  return command
    .optionsGroup('Who may come in:')
    .addOption(
      new Option(
        '--anonymous-auth <bool>',
        'let requests without credentials in as system:anonymous, whom roles may allow',
      )
        .choices(['true', 'false'])
        .default(d.anonymousAuth),
    )
    .option('--token-auth-file <file>', 'users by token: lines of token,user,uid,"group1,group2"')
    .option('--oidc-issuer-url <url>', 'https URL of an OpenID issuer whose ID tokens are accepted')
    .option('--oidc-client-id <id>', 'audience the ID tokens must have')
    .option('--oidc-username-claim <claim>', 'claim that names the user', d.oidcUsernameClaim)
    .option(
      '--oidc-username-prefix <prefix>',
      'before every such user; "-" is none (default: <issuer>#, for email none)',
    )
    .option('--oidc-groups-claim <claim>', 'claim with the user’s groups')
    .option('--oidc-groups-prefix <prefix>', 'before every such group')
    .option(
      '--oidc-required-claim <claim=value>',
      'claim an ID token must have, repeatable',
      collect,
      d.oidcRequiredClaim,
    )
    .option('--oidc-ca-file <file>', 'authority of the issuer’s certificate (default: this machine’s)')
    .option('--oidc-signing-algs <list>', 'signature algorithms accepted', d.oidcSigningAlgs)
    .option(
      '--requestheader-client-ca-file <file>',
      'authority of proxies that say who calls (default: the cluster’s own)',
    )
    .option('--requestheader-allowed-names <list>', 'common names such a proxy may have (default: any)')
    .option('--requestheader-username-headers <list>', 'where it names the user', d.requestheaderUsernameHeaders)
    .option('--requestheader-uid-headers <list>', 'where it names the user’s uid', d.requestheaderUidHeaders)
    .option('--requestheader-group-headers <list>', 'where it names the groups', d.requestheaderGroupHeaders)
    .option(
      '--requestheader-extra-headers-prefix <list>',
      'where it tells more of the user',
      d.requestheaderExtraHeadersPrefix,
    )
    .optionsGroup('What they may do:')
    .option('--authorization-mode <list>', `asked in this order: ${authorizationModes.join(', ')}`, d.authorizationMode)
    .option('--authorization-policy-file <file>', 'policies for ABAC: one JSON object a line')
    .optionsGroup('What is written down:')
    .option('--audit-policy-file <file>', 'audit.k8s.io/v1 Policy: which requests are logged, and how much of them')
    .option('--audit-log-path <file>', 'where: one JSON object a line')
    .option('--audit-log-maxsize <MiB>', 'size at which a new file is begun', number, d.auditLogMaxsize)
    .option('--audit-log-maxbackup <n>', 'old files kept; 0 keeps all', number, d.auditLogMaxbackup)
    .option('--audit-log-maxage <days>', 'days old files are kept; 0 is for ever', number, d.auditLogMaxage);
}
