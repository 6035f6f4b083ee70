import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import {
  checkRegistries,
  type DirectoryImageStore,
  directoryImageStore,
  type Proxies,
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
