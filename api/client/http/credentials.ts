import { execFile } from 'node:child_process';
import { isAbsolute, resolve } from 'node:path';
import type { Clock } from '@trimtab/machinery';

/** What proves who we are: a header, a client certificate, or both. PEM texts. */
export interface Credential {
  readonly token?: string;
  readonly cert?: string;
  readonly key?: string;
}

/** Credentials that run out. */
export interface CredentialSource {
  /** The one to use now; asked before every request and every connection. */
  get(): Promise<Credential>;
  /** The server did not accept it: the next {@link get} must not give the same one from memory. */
  refused(): void;
}

/** `users[].user.exec` of a kubeconfig. */
export interface ExecConfig {
  readonly apiVersion?: string;
  readonly command?: string;
  readonly args?: readonly string[] | null;
  readonly env?: readonly { readonly name: string; readonly value: string }[] | null;
  readonly installHint?: string;
  readonly provideClusterInfo?: boolean;
  readonly interactiveMode?: 'Never' | 'IfAvailable' | 'Always';
}

export interface ExecSurroundings {
  readonly clock: Clock;
  /** The environment the plugin is run in. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Relative commands with a slash are relative to the kubeconfig. */
  readonly directory: string;
  /** Told to plugins that ask for it. */
  readonly cluster: object;
}

interface ExecCredential {
  readonly kind?: string;
  readonly status?: {
    readonly token?: string;
    readonly clientCertificateData?: string;
    readonly clientKeyData?: string;
    readonly expirationTimestamp?: string;
  };
}

/**
 * Credentials that a program gives (client.authentication.k8s.io, KEP-541): run when needed, remembered until they expire or
 * the server refuses them, never run twice at a time.
 */
export function execCredentials(config: ExecConfig, around: ExecSurroundings): CredentialSource {
  let known: { readonly credential: Credential; readonly until: number } | undefined;
  let running: Promise<Credential> | undefined;
  const run = async () => {
    const { status } = await runPlugin(config, around);
    const credential = {
      ...(status?.token ? { token: status.token } : {}),
      ...(status?.clientCertificateData ? { cert: status.clientCertificateData } : {}),
      ...(status?.clientKeyData ? { key: status.clientKeyData } : {}),
    };
    if (!credential.token && !credential.cert)
      throw new Error(`${config.command} gave neither a token nor a certificate`);
    const until = status?.expirationTimestamp ? Date.parse(status.expirationTimestamp) : Number.POSITIVE_INFINITY;
    known = { credential, until };
    return credential;
  };
  return {
    async get() {
      if (known && around.clock.now() < known.until) return known.credential;
      running ??= run().finally(() => {
        running = undefined;
      });
      return running;
    },
    refused() {
      known = undefined;
    },
  };
}

async function runPlugin(config: ExecConfig, around: ExecSurroundings): Promise<ExecCredential> {
  const { command = '', args, env, apiVersion = 'client.authentication.k8s.io/v1', installHint } = config;
  if (config.interactiveMode === 'Always')
    throw new Error(
      `credential plugin ${command} wants to ask questions, and nobody is here to answer: log in beforehand`,
    );
  const request = {
    apiVersion,
    kind: 'ExecCredential',
    spec: { interactive: false, ...(config.provideClusterInfo ? { cluster: around.cluster } : {}) },
  };
  const file = command.includes('/') && !isAbsolute(command) ? resolve(around.directory, command) : command;
  const environment = {
    ...around.environment,
    ...Object.fromEntries((env ?? []).map(({ name, value }) => [name, value])),
    KUBERNETES_EXEC_INFO: JSON.stringify(request),
  };
  return new Promise((done, fail) => {
    const child = execFile(
      file,
      [...(args ?? [])],
      { env: environment, maxBuffer: 1 << 20 },
      (error, stdout, stderr) => {
        if (error) {
          const missing = (error as NodeJS.ErrnoException).code === 'ENOENT';
          const why = missing ? 'is not installed' : stderr.trim() || error.message;
          fail(
            new Error(`credential plugin ${command}: ${why}${missing && installHint ? `\n${installHint.trim()}` : ''}`),
          );
          return;
        }
        try {
          const answer = JSON.parse(stdout) as ExecCredential;
          if (answer.kind !== 'ExecCredential') throw new Error('no ExecCredential');
          done(answer);
        } catch {
          fail(
            new Error(`credential plugin ${command}: what it printed is no ExecCredential: ${stdout.slice(0, 200)}`),
          );
        }
      },
    );
    // Without an answer to a question nobody sees, it would wait for ever.
    child.stdin?.end();
  });
}
