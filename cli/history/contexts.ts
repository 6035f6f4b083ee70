import { readFile, rename, stat, writeFile } from 'node:fs/promises';
import { parseYaml, stringifyYaml } from '@trimtab/machinery';
import { CliError } from '../errors.js';

/** Contexts for branches in a kubeconfig: the same user and authority, another path. */

interface Named<T extends string> {
  readonly name: string;
  readonly [field: string]: unknown;
  readonly kind?: T;
}

interface Config {
  readonly clusters?: readonly Named<'cluster'>[];
  readonly contexts?: readonly Named<'context'>[];
  readonly 'current-context'?: string;
  readonly [field: string]: unknown;
}

export const contextName = (branch: string): string => `branch-${branch}`;

/** The config with a context for a branch, made from the current one. Pure. */
export function withContext(config: Config, branch: string, from?: string): Config {
  const name = contextName(branch);
  const context = config.contexts?.find((each) => each.name === (from ?? config['current-context']));
  const inner = context?.context as { readonly cluster: string; readonly user: string } | undefined;
  const cluster = config.clusters?.find((each) => each.name === inner?.cluster);
  if (!inner || !cluster) throw new CliError('the kubeconfig has no current context to make one for the branch from');
  const { server, ...rest } = cluster.cluster as { readonly server: string };
  const without = withoutContext(config, branch);
  return {
    ...without,
    clusters: [
      ...(without.clusters ?? []),
      { name, cluster: { ...rest, server: `${rootOf(server)}/branches/${branch}` } },
    ],
    contexts: [...(without.contexts ?? []), { name, context: { ...inner, cluster: name } }],
  };
}

/** The cluster's own address, where this is that of a branch. */
const rootOf = (server: string): string => server.replace(/\/branches\/[^/]+\/?$/, '').replace(/\/$/, '');

export function withoutContext(config: Config, branch: string): Config {
  const name = contextName(branch);
  const others = <T extends string>(list: readonly Named<T>[] | undefined) =>
    list?.filter((each) => each.name !== name) ?? [];
  return { ...config, clusters: others(config.clusters), contexts: others(config.contexts) };
}

/** Changes a kubeconfig in one step; it keeps its mode, for it may hold keys. */
export async function editKubeconfig(file: string, change: (config: Config) => Config): Promise<void> {
  try {
    const config = parseYaml(await readFile(file, 'utf8')) as unknown as Config;
    const made = `${file}.${process.pid}`;
    await writeFile(made, stringifyYaml(change(config)), { mode: (await stat(file)).mode & 0o777 });
    await rename(made, file);
  } catch (error) {
    if (error instanceof CliError) throw error;
    throw new CliError(`the kubeconfig ${file} could not be changed: ${(error as Error).message}`);
  }
}
