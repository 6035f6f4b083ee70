import { type ControllerDefinition, controller, controllerOf, index, refersTo } from '@trimtab/framework';
import { Jobs, joinKey, Pods } from '@trimtab/machinery';
import { isTracked } from './job-pod.js';
import { jobMachine } from './machine.js';

/** Runs pods until enough of them have succeeded (kubernetes: pkg/controller/job, ttlafterfinished). */
export const jobController: ControllerDefinition = controller({
  name: 'job-controller',
  for: Jobs,
  owns: [Pods],
  indexes: [
    index(Pods, {
      trackedBy: (pod) => {
        const owner = isTracked(pod) ? controllerOf(pod) : undefined;
        return owner && refersTo(owner, Jobs) ? [joinKey({ namespace: pod.metadata.namespace, name: owner.name })] : [];
      },
    }),
  ],
  machine: jobMachine,
});
