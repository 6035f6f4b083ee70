import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { type Connection, HttpClient, loadKubeconfig } from '@trimtab/client';
import { type Clock, type Random, systemClock, systemRandom } from '@trimtab/machinery';
import { CliError } from '../errors.js';
import { PastClient, type Then } from '../history/past-client.js';
import { pathsOf } from '../paths.js';
import type { Catalogue } from './catalogue.js';
import { discover } from './discovery.js';

/** Options that every command has which talks to a cluster. */
export interface ConnectionOptions {
  readonly kubeconfig?: string;
  readonly namespace?: string;
  /** Of the kubeconfig; the current one where it is not given. */
  readonly context?: string;
}

/** What a command sees of the process it runs in. */
export interface Io {
  readonly input: Readable;
  readonly output: Writable;
  readonly errors: Writable;
}

/** A command's view of the cluster and of the person who gave it. */
export class Session {
  readonly client: HttpClient;
  readonly namespace: string;
  #catalogue: Promise<Catalogue> | undefined;

  constructor(
    readonly connection: Connection,
    readonly io: Io,
    /** Given on the command line: stronger than what a file says. */
    readonly namespaceOption?: string,
    readonly clock: Clock = systemClock,
    readonly random: Random = systemRandom,
    /** Reads are of then; nothing can be written. */
    readonly past?: Then,
  ) {
    const options = { connection, clock, userAgent: 'trimtab' };
    this.client = past ? new PastClient(options, past.revision) : new HttpClient(options);
    this.namespace = namespaceOption ?? connection.namespace ?? 'default';
  }

  /** Ages are counted from here. */
  now(): number {
    return this.past?.time ?? this.clock.now();
  }

  /** The same cluster as of a moment of its past. */
  at(then: Then): Session {
    return new Session(this.connection, this.io, this.namespaceOption, this.clock, this.random, then);
  }

  /** What the server has; asked once, unless `again`. */
  catalogue(again = false): Promise<Catalogue> {
    if (again || !this.#catalogue) this.#catalogue = discover(this.client);
    return this.#catalogue;
  }

  /** Lines for the person or the program that reads the output. */
  say(...lines: readonly string[]): void {
    for (const line of lines) this.io.output.write(`${line}\n`);
  }

  /** Lines that must not get into what a program reads. */
  complain(...lines: readonly string[]): void {
    for (const line of lines) this.io.errors.write(`${line}\n`);
  }

  close(): void {
    this.client.close();
  }
}

export interface Surroundings {
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly dataDir: string;
  readonly home: string;
}

/**
 * Where the kubeconfig is: the option, `$KUBECONFIG` (the first of its files that is there), the data directory's, then
 * `~/.kube/config`.
 *
 * @throws CliError when there is none.
 */
export function kubeconfigFile(
  option: string | undefined,
  { environment, dataDir, home }: Surroundings,
  exists: (file: string) => boolean = existsSync,
): string {
  if (option) return option;
  const listed = (environment.KUBECONFIG ?? '').split(delimiter).filter(Boolean);
  if (listed.length > 0) return listed.find(exists) ?? listed[0]!;
  const candidates = [pathsOf(dataDir).kubeconfig, join(home, '.kube', 'config')];
  const found = candidates.find(exists);
  if (!found)
    throw new CliError(
      `no kubeconfig in ${candidates.join(' or ')}; start a cluster with: trimtab up, or name one with --kubeconfig`,
    );
  return found;
}

export async function openSession(
  options: ConnectionOptions,
  io: Io,
  surroundings: Omit<Surroundings, 'home'>,
): Promise<Session> {
  const file = kubeconfigFile(options.kubeconfig, { ...surroundings, home: homedir() });
  const connection = await loadKubeconfig(file, {
    environment: surroundings.environment,
    ...(options.context ? { context: options.context } : {}),
  }).catch((error: unknown) => {
    throw new CliError((error as Error).message);
  });
  return new Session(connection, io, options.namespace);
}
