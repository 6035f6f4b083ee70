import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import type {
  AuditPolicy,
  ClusterSecurityOptions,
  LogFileOptions,
  OidcOptions,
  RequestHeaderOptions,
} from '@trimtab/server';
import { parseAuditPolicy, parsePolicyFile, parseTokenFile } from '@trimtab/server';
import { CliError } from '../errors.js';
import { authorizationModes, oidcAlgorithms, securityDefaults } from './security-flags.js';

/** `up`'s options about who may come in and what they may do, as the command line gives them. */
export interface RawSecurityOptions {
  readonly anonymousAuth: string;
  readonly tokenAuthFile?: string;
  readonly oidcIssuerUrl?: string;
  readonly oidcClientId?: string;
  readonly oidcUsernameClaim: string;
  readonly oidcUsernamePrefix?: string;
  readonly oidcGroupsClaim?: string;
  readonly oidcGroupsPrefix?: string;
  readonly oidcRequiredClaim: readonly string[];
  readonly oidcCaFile?: string;
  readonly oidcSigningAlgs: string;
  readonly requestheaderClientCaFile?: string;
  readonly requestheaderAllowedNames?: string;
  readonly requestheaderUsernameHeaders: string;
  readonly requestheaderUidHeaders: string;
  readonly requestheaderGroupHeaders: string;
  readonly requestheaderExtraHeadersPrefix: string;
  readonly authorizationMode: string;
  readonly authorizationPolicyFile?: string;
  readonly auditPolicyFile?: string;
  readonly auditLogPath?: string;
  readonly auditLogMaxsize: number;
  readonly auditLogMaxbackup: number;
  readonly auditLogMaxage: number;
}

/** Read from the files named, and checked. */
export interface SecurityOptions {
  readonly security: Pick<
    ClusterSecurityOptions,
    'anonymous' | 'staticUsers' | 'oidc' | 'authorizationModes' | 'policies'
  >;
  readonly requestHeader: RequestHeaderOptions;
  /** PEM of the authority of authenticating proxies; undefined: the cluster's own. */
  readonly requestHeaderCa: string | undefined;
  readonly audit: { readonly policy: AuditPolicy; readonly file: Omit<LogFileOptions, 'clock' | 'logger'> } | undefined;
}

/** Throws CliError naming the option. */
export function readSecurity(given: Partial<RawSecurityOptions>): SecurityOptions {
  const raw: RawSecurityOptions = { ...securityDefaults, ...given };
  const modes = authorizationModesOf(raw);
  const { tokenAuthFile, authorizationPolicyFile, requestheaderClientCaFile } = raw;
  return {
    security: {
      anonymous: raw.anonymousAuth === 'true' ? 'all' : 'none',
      authorizationModes: modes,
      ...(tokenAuthFile === undefined
        ? {}
        : { staticUsers: parsed('--token-auth-file', tokenAuthFile, parseTokenFile) }),
      ...(authorizationPolicyFile === undefined
        ? {}
        : { policies: parsed('--authorization-policy-file', authorizationPolicyFile, parsePolicyFile) }),
      ...oidcOf(raw),
    },
    requestHeader: {
      // The cluster's own authority signs for its own proxy alone.
      allowedNames:
        requestheaderClientCaFile === undefined ? ['front-proxy-client'] : list(raw.requestheaderAllowedNames),
      usernameHeaders: list(raw.requestheaderUsernameHeaders),
      uidHeaders: list(raw.requestheaderUidHeaders),
      groupHeaders: list(raw.requestheaderGroupHeaders),
      extraHeaderPrefixes: list(raw.requestheaderExtraHeadersPrefix),
    },
    audit: auditOf(raw),
    requestHeaderCa:
      requestheaderClientCaFile === undefined
        ? undefined
        : certificates('--requestheader-client-ca-file', requestheaderClientCaFile),
  };
}

function auditOf(raw: RawSecurityOptions): SecurityOptions['audit'] {
  const { auditPolicyFile, auditLogPath } = raw;
  if (auditPolicyFile === undefined && auditLogPath === undefined) return undefined;
  if (auditPolicyFile === undefined || auditLogPath === undefined)
    throw new CliError('--audit-policy-file and --audit-log-path need each other');
  return {
    policy: parsed('--audit-policy-file', auditPolicyFile, parseAuditPolicy),
    file: {
      path: resolve(auditLogPath),
      maxBytes: raw.auditLogMaxsize * 1024 * 1024,
      maxBackups: raw.auditLogMaxbackup,
      maxAgeDays: raw.auditLogMaxage,
    },
  };
}

type Mode = (typeof authorizationModes)[number];

function authorizationModesOf({ authorizationMode, authorizationPolicyFile }: RawSecurityOptions): readonly Mode[] {
  const modes = list(authorizationMode);
  for (const mode of modes)
    if (!(authorizationModes as readonly string[]).includes(mode))
      throw new CliError(`--authorization-mode ${mode} is not known: ${authorizationModes.join(', ')} are`);
  if (modes.length === 0) throw new CliError('--authorization-mode needs at least one mode');
  if (new Set(modes).size < modes.length)
    throw new CliError(`--authorization-mode ${authorizationMode}: one mode twice`);
  if (modes.includes('ABAC') !== (authorizationPolicyFile !== undefined))
    throw new CliError('--authorization-mode ABAC and --authorization-policy-file need each other');
  return modes as readonly Mode[];
}

function oidcOf(raw: RawSecurityOptions): { readonly oidc?: OidcOptions & { readonly ca?: string } } {
  const { oidcIssuerUrl: issuerUrl, oidcClientId: clientId } = raw;
  if (issuerUrl === undefined && clientId === undefined) return {};
  if (issuerUrl === undefined || clientId === undefined)
    throw new CliError('--oidc-issuer-url and --oidc-client-id need each other');
  if (!URL.canParse(issuerUrl) || new URL(issuerUrl).protocol !== 'https:')
    throw new CliError(`--oidc-issuer-url ${issuerUrl} is not an https URL`);
  const signingAlgorithms = list(raw.oidcSigningAlgs);
  for (const name of signingAlgorithms)
    if (!oidcAlgorithms.includes(name))
      throw new CliError(`--oidc-signing-algs ${name} is not known: ${oidcAlgorithms.join(', ')} are`);
  const requiredClaims = Object.fromEntries(
    raw.oidcRequiredClaim.map((pair) => {
      const at = pair.indexOf('=');
      if (at < 1) throw new CliError(`--oidc-required-claim ${pair} is not of the form claim=value`);
      return [pair.slice(0, at), pair.slice(at + 1)];
    }),
  );
  return {
    oidc: {
      issuerUrl,
      clientId,
      usernameClaim: raw.oidcUsernameClaim,
      ...(raw.oidcUsernamePrefix === undefined ? {} : { usernamePrefix: raw.oidcUsernamePrefix }),
      ...(raw.oidcGroupsClaim === undefined ? {} : { groupsClaim: raw.oidcGroupsClaim }),
      ...(raw.oidcGroupsPrefix === undefined ? {} : { groupsPrefix: raw.oidcGroupsPrefix }),
      requiredClaims,
      signingAlgorithms,
      ...(raw.oidcCaFile === undefined ? {} : { ca: certificates('--oidc-ca-file', raw.oidcCaFile) }),
    },
  };
}

const list = (text: string | undefined): readonly string[] =>
  (text ?? '')
    .split(',')
    .map((part) => part.trim())
    .filter(Boolean);

export function readOption(option: string, file: string): string {
  try {
    return readFileSync(resolve(file), 'utf8');
  } catch (error) {
    throw new CliError(`${option} ${file} cannot be read: ${(error as Error).message}`);
  }
}

function parsed<T>(option: string, file: string, parse: (text: string) => T): T {
  const text = readOption(option, file);
  try {
    return parse(text);
  } catch (error) {
    throw new CliError(`${option} ${file}: ${(error as Error).message}`);
  }
}

function certificates(option: string, file: string): string {
  const text = readOption(option, file);
  if (!text.includes('-----BEGIN CERTIFICATE-----'))
    throw new CliError(`${option} ${file} holds no certificate in PEM form`);
  return text;
}
