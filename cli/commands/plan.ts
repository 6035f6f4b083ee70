import { openProject } from './controller-project.js';
import { connect, type OperatorCommandOptions } from './dev.js';
import { operatorLogger } from './operator-logger.js';

/** Shows what an operator would do now in a cluster, object by object, and writes nothing. */
export async function planOperator(
  file: string,
  options: OperatorCommandOptions & { readonly output: 'text' | 'json' },
): Promise<void> {
  const project = await openProject(file);
  const { systemClock: clock, systemRandom: random } = project.machinery;
  const client = await connect(project, options);
  const logger = operatorLogger();
  const informers = new project.client.Informers({ client, clock, random, logger });
  try {
    const { controllers } = await project.load();
    informers.start();
    const planned = await project.framework.plan(controllers, { client, informers, clock, random, logger });
    console.log(
      options.output === 'json' ? JSON.stringify(planned, undefined, 2) : project.framework.printPlan(planned),
    );
    if (planned.some(({ error }) => error !== undefined)) process.exitCode = 1;
  } finally {
    informers.stop();
    client.close();
  }
}

/** Prints the ClusterRole that an operator's declarations amount to, and its kinds' definitions, as one YAML stream. */
export async function manifestsOf(file: string): Promise<void> {
  const project = await openProject(file);
  const { name, controllers, definitions = [] } = await project.load();
  const { stringify } = await import('yaml');
  const manifests = [...definitions, project.framework.clusterRole(name, controllers)];
  console.log(manifests.map((each) => stringify(each)).join('---\n'));
}
