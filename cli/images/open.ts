import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import {
  type CredentialEntries,
  checkRegistries,
  type DirectoryImageStore,
  directoryImageStore,
  type Proxies,
  parseDockerConfig,
  type Reference,
  type RegistriesConfig,
} from '@trimtab/kubelet-lite';
import { silentLogger, systemClock, systemRandom } from '@trimtab/machinery';
import { parse } from 'yaml';
import { coreBinary } from '../core-binary.js';
import { CliError } from '../errors.js';
import { pathsOf } from '../paths.js';
import { VERSION } from '../version.js';

export interface ImageOptions {
  readonly dataDir: string;
  readonly registries?: string;
}

export interface RegistryFlags extends ImageOptions {
  readonly creds?: string;
  readonly insecure?: boolean;
  readonly ca?: string;
}

/** This machine's architecture in the words of image manifests. */
export const architecture = (): string => ({ x64: 'amd64' })[process.arch as string] ?? process.arch;

export const userAgent = `trimtab/${VERSION}`;

/** What the environment says of proxies, in small or capital letters. */
export function proxiesOf(env: NodeJS.ProcessEnv): Proxies {
  const of = (name: string) => env[name.toLowerCase()] || env[name] || undefined;
  const [http, https, none] = [of('HTTP_PROXY'), of('HTTPS_PROXY'), of('NO_PROXY')];
  return { ...(http ? { http } : {}), ...(https ? { https } : {}), ...(none ? { none } : {}) };
}

/** The images of a data directory; `registry` is one that flags say more of than the registries file does. */
export function openImages(options: RegistryFlags, registry?: Reference): Promise<DirectoryImageStore> {
  return directoryImageStore({
    directory: pathsOf(resolve(options.dataDir)).images,
    coreBinary,
    architecture: architecture(),
    clock: systemClock,
    random: systemRandom,
    logger: silentLogger,
    userAgent,
    proxies: proxiesOf(process.env),
    registries: async () => withFlags(await readRegistries(registriesFile(options)), options, registry?.registry),
  });
}

const registriesFile = ({ registries, dataDir }: ImageOptions): string =>
  registries ?? join(resolve(dataDir), 'registries.yaml');

/** The registries file, read anew each time; none is as good as an empty one. */
export async function readRegistries(file: string): Promise<RegistriesConfig> {
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return '';
    throw error;
  });
  try {
    return checkRegistries(parse(text));
  } catch (error) {
    throw new CliError(`${file}: ${(error as Error).message}`);
  }
}

function withFlags(config: RegistriesConfig, flags: RegistryFlags, registry: string | undefined): RegistriesConfig {
  if (registry === undefined || (!flags.insecure && !flags.ca)) return config;
  const host = registry === 'docker.io' ? 'registry-1.docker.io' : registry;
  const tls = { ...(flags.ca ? { ca_file: flags.ca } : {}), ...(flags.insecure ? { insecure_skip_verify: true } : {}) };
  return { ...config, configs: { ...config.configs, [host]: { ...config.configs?.[host], tls } } };
}

/** What this user has logged in to: `--creds`, then the files of docker and podman, helpers asked for this registry alone. */
export async function credentialsOf(flags: RegistryFlags, image: Reference): Promise<readonly CredentialEntries[]> {
  if (flags.creds !== undefined) {
    const [username = '', ...rest] = flags.creds.split(':');
    if (rest.length === 0) throw new CliError('--creds: USER:PASSWORD is expected');
    return [[[image.registry, { username, password: rest.join(':') }]]];
  }
  const { REGISTRY_AUTH_FILE, XDG_RUNTIME_DIR, DOCKER_CONFIG } = process.env;
  const files = [
    REGISTRY_AUTH_FILE,
    XDG_RUNTIME_DIR && join(XDG_RUNTIME_DIR, 'containers/auth.json'),
    join(DOCKER_CONFIG ?? join(homedir(), '.docker'), 'config.json'),
  ];
  const found = await Promise.all(files.filter((file) => !!file).map((file) => readCredentials(file!, image.registry)));
  return found.filter((entries) => entries.length > 0);
}

/** What a node shows to registries after pods' own secrets: `config.json` of the data directory, then docker's of this user. */
export async function nodeCredentials(dataDir: string): Promise<readonly CredentialEntries[]> {
  const docker = join(process.env.DOCKER_CONFIG ?? join(homedir(), '.docker'), 'config.json');
  return Promise.all([join(dataDir, 'config.json'), docker].map((file) => readCredentials(file)));
}

/** The entries of a docker configuration; nothing where there is no such file. */
export async function readCredentials(file: string, registry?: string): Promise<CredentialEntries> {
  const text = await readFile(file, 'utf8').catch(() => undefined);
  if (text === undefined) return [];
  try {
    const entries = parseDockerConfig(text);
    if (registry === undefined) return entries;
    const { credHelpers = {}, credsStore } = JSON.parse(text) as {
      readonly credHelpers?: Readonly<Record<string, string>>;
      readonly credsStore?: string;
    };
    const server = registry === 'docker.io' ? 'https://index.docker.io/v1/' : registry;
    const helper = credHelpers[registry] ?? credHelpers[server] ?? credsStore;
    return helper === undefined ? entries : [...(await askHelper(helper, server)), ...entries];
  } catch (error) {
    throw new CliError(`${file}: ${(error as Error).message}`);
  }
}

/** docker-credential-helpers' protocol: the server on standard input, JSON back; failing means it knows none. */
function askHelper(helper: string, server: string): Promise<CredentialEntries> {
  return new Promise((done) => {
    const child = execFile(`docker-credential-${helper}`, ['get'], { timeout: 30_000 }, (error, stdout) => {
      if (error !== null) return done([]);
      const { Username = '', Secret = '' } = JSON.parse(stdout) as { Username?: string; Secret?: string };
      done([[server, Username === '<token>' ? { identityToken: Secret } : { username: Username, password: Secret }]]);
    });
    child.stdin?.on('error', () => {});
    child.stdin?.end(server);
  });
}
