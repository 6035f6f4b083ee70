import { accessSync, constants, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { CliError } from './errors.js';
import type { Paths } from './paths.js';

/** What a cluster cannot change once objects and pods have it written in them. */
export interface ClusterFile {
  readonly podCidr: string;
  readonly serviceCidr: string;
  readonly dnsDomain: string;
}

const FLAGS: Readonly<Record<keyof ClusterFile, string>> = {
  podCidr: '--pod-cidr',
  serviceCidr: '--service-cidr',
  dnsDomain: '--dns-domain',
};

export function readClusterFile({ data }: Paths): ClusterFile | undefined {
  try {
    return JSON.parse(readFileSync(join(data, 'cluster.json'), 'utf8')) as ClusterFile;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Notes the cluster's ranges at its first start; at later ones refuses others, naming the option. */
export function keepClusterFile(paths: Paths, { podCidr, serviceCidr, dnsDomain }: ClusterFile): void {
  const wanted: ClusterFile = { podCidr, serviceCidr, dnsDomain };
  makeWritable(paths.data);
  const kept = readClusterFile(paths);
  if (kept === undefined) {
    writeFileSync(join(paths.data, 'cluster.json.new'), `${JSON.stringify(wanted)}\n`);
    renameSync(join(paths.data, 'cluster.json.new'), join(paths.data, 'cluster.json'));
    return;
  }
  for (const [field, flag] of Object.entries(FLAGS) as [keyof ClusterFile, string][])
    if (kept[field] !== wanted[field])
      throw new CliError(
        `${flag} ${wanted[field]}: the cluster in ${paths.data} was made with ${kept[field]}; give that, or another --data-dir`,
      );
}

function makeWritable(directory: string): void {
  try {
    makeDirectory(directory);
    accessSync(directory, constants.W_OK | constants.X_OK);
  } catch (error) {
    throw new CliError(
      `the data directory ${directory} cannot be written (${(error as Error).message}); choose another with --data-dir`,
    );
  }
}

/** Node's own recursive mkdir never ends where a parent is there and takes no directories, as in /proc. */
function makeDirectory(directory: string): void {
  try {
    mkdirSync(directory);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') return;
    if (code !== 'ENOENT' || existsSync(dirname(directory))) throw error;
    makeDirectory(dirname(directory));
    mkdirSync(directory);
  }
}
