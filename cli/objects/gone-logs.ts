import type { GonePod } from '@trimtab/kubelet-lite';
import { humanDuration, Nodes } from '@trimtab/machinery';
import { CliError } from '../errors.js';
import { columnLines } from './columns.js';
import type { LogsOptions } from './logs.js';
import type { Session } from './session.js';
import { askNode, itemsOf } from './why-node.js';

interface Found extends GonePod {
  readonly node: string;
}

/** Without a pod, lists the pods that are gone and whose logs nodes still have; with one, shows the newest of that name. */
export async function showGoneLogs(session: Session, name: string | undefined, options: LogsOptions): Promise<number> {
  const all = (await gonePods(session)).filter(({ namespace }) => namespace === session.namespace);
  if (name === undefined) {
    if (all.length === 0) session.complain(`No logs of pods that are gone are kept in namespace ${session.namespace}.`);
    else session.say(...listText(all, session.now()));
    return 0;
  }
  const wanted = name.replace(/^(po|pod|pods)\//, '');
  const pod = all.find(({ pod: of, uid }) => of === wanted || uid === wanted);
  if (!pod)
    throw new CliError(
      `no logs of a gone pod ${wanted} are kept in namespace ${session.namespace}; trimtab logs --gone lists what there is`,
    );
  const names = pod.containers.map((container) => container.name);
  const container = options.container ?? names[0];
  if (container === undefined || !names.includes(container))
    throw new CliError(`pod ${wanted} left no log of container ${container ?? ''}; there are: ${names.join(', ')}`);
  if (options.container === undefined && names.length > 1)
    session.complain(`Defaulted container "${container}" out of: ${names.join(', ')}`);
  const query = new URLSearchParams({ uid: pod.uid });
  if (options.tail !== undefined) query.set('tailLines', String(options.tail));
  if (options.previous) query.set('previous', 'true');
  if (options.timestamps) query.set('timestamps', 'true');
  const path = `/trimtab/gone-logs/${pod.namespace}/${pod.pod}/${container}?${query}`;
  const text = await askNode(session, pod.node, path);
  if (text === undefined) throw new CliError(`the log of container ${container} of pod ${wanted} is not kept any more`);
  session.io.output.write(text);
  return 0;
}

/** Newest first. */
async function gonePods(session: Session): Promise<readonly Found[]> {
  const nodes = (await session.client.list(Nodes)).items.map(({ metadata }) => metadata.name!);
  const answers = await Promise.all(
    nodes.map(async (node): Promise<readonly Found[]> => {
      const text = await askNode(session, node, '/trimtab/gone-logs');
      return text === undefined ? [] : itemsOf<GonePod>(text).map((pod) => ({ ...pod, node }));
    }),
  );
  return answers.flat().sort((a, b) => (a.goneAt < b.goneAt ? 1 : -1));
}

function listText(pods: readonly Found[], now: number): readonly string[] {
  const rows = pods.map(({ pod, goneAt, node, containers, uid }) => [
    pod,
    humanDuration(now - Date.parse(goneAt)),
    node,
    containers.map(({ name }) => name).join(','),
    uid,
  ]);
  return columnLines([['POD', 'GONE', 'NODE', 'CONTAINERS', 'UID'], ...rows]);
}
