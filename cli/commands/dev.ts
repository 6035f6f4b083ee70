import { type FSWatcher, watch } from 'node:fs';
import { homedir } from 'node:os';
import { dirname } from 'node:path';
import type { RunningOperator } from '@trimtab/framework';
import { kubeconfigFile } from '../objects/session.js';
import { defaultDataDir } from '../paths.js';
import { type ControllerProject, openProject } from './controller-project.js';
import { operatorLogger } from './operator-logger.js';

export interface OperatorCommandOptions {
  readonly kubeconfig?: string;
  readonly context?: string;
  readonly port?: number;
}

/** Editors write a file in several steps. */
const SETTLE_MS = 30;

/** How a project's operator reaches the cluster the options name. */
export async function connect(
  { client: { HttpClient, loadKubeconfig } }: ControllerProject,
  options: OperatorCommandOptions,
) {
  const file = kubeconfigFile(options.kubeconfig, {
    environment: process.env,
    dataDir: defaultDataDir(),
    home: homedir(),
  });
  const connection = await loadKubeconfig(file, {
    environment: process.env,
    ...(options.context ? { context: options.context } : {}),
  });
  return new HttpClient({ connection, userAgent: 'trimtab-operator' });
}

/**
 * Runs an operator from its source, and again on every save: what is under way ends, the new code takes over the caches, and
 * machines go on where their objects say they are. Code that does not build leaves the old running. Ends with Ctrl-C.
 */
export async function dev(file: string, options: OperatorCommandOptions): Promise<void> {
  const project = await openProject(file);
  const { systemClock: clock, systemRandom: random } = project.machinery;
  const client = await connect(project, options);
  const logger = operatorLogger();
  const informers = new project.client.Informers({
    client,
    clock,
    random,
    logger,
    metadataFirst: true,
    checked: true,
  });
  const start = async (install: boolean): Promise<RunningOperator> =>
    project.framework.runOperator(await project.load(), {
      client,
      clock,
      random,
      logger,
      informers,
      install,
      ...(options.port === undefined ? {} : { http: { port: options.port } }),
    });
  let running = await start(true);
  const names = (await project.load()).controllers.map(({ name }) => name).join(', ');
  console.log(`running ${names}; saving reloads, Ctrl-C ends`);
  if (running.port !== undefined) console.log(`http://127.0.0.1:${running.port}/metrics, /readyz, /traces`);
  let reloading = Promise.resolve();
  const reload = async () => {
    const began = performance.now();
    try {
      await project.load();
      await running.stop();
      running = await start(true);
      console.log(`reloaded in ${Math.round(performance.now() - began)} ms`);
    } catch (error) {
      console.error(`not reloaded: ${error instanceof Error ? error.message : String(error)}`);
    }
    watching = watchFiles(project.files, watching, changed);
  };
  let timer: NodeJS.Timeout | undefined;
  const changed = () => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      reloading = reloading.then(reload);
    }, SETTLE_MS);
  };
  let watching = watchFiles(project.files, [], changed);
  await new Promise<void>((done) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => done());
  });
  clearTimeout(timer);
  for (const watcher of watching) watcher.close();
  await reloading;
  const left = await running.stop();
  for (const key of left) console.error(`left unfinished: ${key}`);
  informers.stop();
  client.close();
}

/** Directories, because editors replace files. */
function watchFiles(files: readonly string[], before: readonly FSWatcher[], changed: () => void): FSWatcher[] {
  for (const watcher of before) watcher.close();
  const known = new Set(files);
  return [...new Set(files.map((each) => dirname(each)))].map((directory) =>
    watch(directory, (_, name) => {
      if (name === null || known.has(`${directory}/${name}`)) changed();
    }),
  );
}
