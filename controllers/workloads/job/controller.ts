import {
  type ControllerDefinition,
  controller,
  controllerOf,
  index,
  type Reader,
  refersTo,
  watch,
} from '@trimtab/framework';
import { Jobs, joinKey, matchesLabels, type ObjectKey, type Pod, Pods } from '@trimtab/machinery';
import { workloadSelector } from '../claims.js';
import { isTracked } from './job-pod.js';
import { jobMachine } from './machine.js';

/** Runs pods until enough of them have succeeded (kubernetes: pkg/controller/job, ttlafterfinished). */
export const jobController: ControllerDefinition = controller({
  name: 'job-controller',
  for: Jobs,
  owns: [Pods],
  watches: [watch(Pods, adopters)],
  indexes: [
    index(Pods, {
      uncontrolled: (pod) => (controllerOf(pod) ? [] : [pod.metadata.namespace ?? '']),
      trackedBy: (pod) => {
        const owner = isTracked(pod) ? controllerOf(pod) : undefined;
        return owner && refersTo(owner, Jobs) ? [joinKey({ namespace: pod.metadata.namespace, name: owner.name })] : [];
      },
    }),
  ],
  machine: jobMachine,
});

/** The Jobs that would take in a pod nobody controls. */
function adopters(pod: Pod, reader: Reader): readonly ObjectKey[] {
  if (controllerOf(pod)) return [];
  return reader
    .list(Jobs, pod.metadata.namespace)
    .filter((job) => matchesLabels(workloadSelector(job.spec?.selector), pod.metadata.labels))
    .map(({ metadata }) => ({ namespace: metadata.namespace, name: metadata.name! }));
}
