import { execFile } from 'node:child_process';
import { access, constants, readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import {
  type CoreClient,
  type CredentialEntries,
  parseDockerConfig,
  parseReference,
  type Reference,
} from '@trimtab/kubelet-lite';
import { CliError } from '../errors.js';
import type { RegistryFlags } from './open.js';

/**
 * Runs `docker-credential-<helper> get` with a server's name as its input, and answers its output. Rejects where there is no such
 * program, or it fails: then it knows of no credential.
 */
export type CredentialHelper = (helper: string, server: string) => Promise<string>;

/** What this user has logged in to: `--creds`, then the files of docker and podman, helpers asked for this registry alone. */
export async function credentialsOf(flags: RegistryFlags, image: Reference): Promise<readonly CredentialEntries[]> {
  if (flags.creds !== undefined) {
    const [username = '', ...rest] = flags.creds.split(':');
    if (rest.length === 0) throw new CliError('--creds: USER:PASSWORD is expected');
    return [[[image.registry, { username, password: rest.join(':') }]]];
  }
  const { REGISTRY_AUTH_FILE, XDG_RUNTIME_DIR } = process.env;
  const files = [
    REGISTRY_AUTH_FILE,
    XDG_RUNTIME_DIR && join(XDG_RUNTIME_DIR, 'containers/auth.json'),
    dockerConfig(),
  ].filter((file) => !!file);
  const found = await Promise.all(files.map((file) => readCredentials(file!, image.registry, spawnedHelper)));
  return found.filter((entries) => entries.length > 0);
}

/**
 * What a node shows to registries after pods' own secrets: `config.json` of the data directory, then docker's of this user, with
 * the helpers they name asked for the image's registry.
 */
export async function nodeCredentials(
  dataDir: string,
  image: string,
  ask: CredentialHelper,
): Promise<readonly CredentialEntries[]> {
  const { registry } = parseReference(image);
  const files = [join(dataDir, 'config.json'), dockerConfig()];
  return Promise.all(files.map((file) => readCredentials(file, registry, ask)));
}

const dockerConfig = (): string => join(process.env.DOCKER_CONFIG ?? join(homedir(), '.docker'), 'config.json');

/** The entries of a docker configuration, the helper's for this registry first; nothing where there is no such file. */
export async function readCredentials(
  file: string,
  registry: string,
  ask: CredentialHelper,
): Promise<CredentialEntries> {
  const text = await readFile(file, 'utf8').catch(() => undefined);
  if (text === undefined) return [];
  try {
    const entries = parseDockerConfig(text);
    const { credHelpers = {}, credsStore } = JSON.parse(text) as {
      readonly credHelpers?: Readonly<Record<string, string>>;
      readonly credsStore?: string;
    };
    const server = registry === 'docker.io' ? 'https://index.docker.io/v1/' : registry;
    const helper = credHelpers[registry] ?? credHelpers[server] ?? credsStore;
    return helper ? [...(await ofHelper(ask, helper, server)), ...entries] : entries;
  } catch (error) {
    throw new CliError(`${file}: ${(error as Error).message}`);
  }
}

/** docker-credential-helpers' protocol: the server on standard input, JSON back; failing means it knows none. */
async function ofHelper(ask: CredentialHelper, helper: string, server: string): Promise<CredentialEntries> {
  const output = await ask(helper, server).catch(() => undefined);
  if (output === undefined) return [];
  let answer: { readonly Username?: string; readonly Secret?: string };
  try {
    answer = JSON.parse(output);
  } catch {
    // Not quoted: it may hold a password.
    throw new Error(`docker-credential-${helper} did not answer with JSON`);
  }
  const { Username: username = '', Secret: password = '' } = answer;
  return [[server, username === '<token>' ? { identityToken: password } : { username, password }]];
}

const HELPER_TIMEOUT_MS = 30_000;

const spawnedHelper: CredentialHelper = (helper, server) =>
  new Promise((done, failed) => {
    const options = { timeout: HELPER_TIMEOUT_MS, env: process.env };
    const child = execFile(programOf(helper), ['get'], options, (error, stdout) =>
      error === null ? done(stdout) : failed(error),
    );
    child.stdin?.on('error', () => {});
    child.stdin?.end(server);
  });

/** A helper run by the native core: a node that serves never spawns. */
export function coreHelper(core: CoreClient): CredentialHelper {
  return async (helper, server) => {
    const { exitCode, stdout, stderr } = await core.request<{ exitCode: number; stdout: string; stderr: string }>(
      'process.run',
      {
        args: [await inPath(programOf(helper)), 'get'],
        env: Object.entries(process.env).map(([name, value]) => `${name}=${value}`),
        stdin: server,
        timeoutMs: HELPER_TIMEOUT_MS,
        maxOutput: 65_536,
      },
    );
    if (exitCode !== 0) throw new Error(`${programOf(helper)}: ${stderr}`);
    return stdout;
  };
}

const programOf = (helper: string): string => `docker-credential-${helper}`;

async function inPath(program: string): Promise<string> {
  for (const directory of (process.env.PATH ?? '').split(delimiter)) {
    const path = join(directory, program);
    const there = await access(path, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (there && path.startsWith('/')) return path;
  }
  throw new Error(`there is no ${program} in PATH`);
}
