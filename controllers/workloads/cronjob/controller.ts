import { type ControllerDefinition, controller } from '@trimtab/framework';
import { CronJobs, Jobs } from '@trimtab/machinery';
import { cronJobMachine } from './machine.js';

/** Starts a Job whenever its schedule says so (kubernetes: pkg/controller/cronjob). */
export const cronJobController: ControllerDefinition = controller({
  name: 'cronjob-controller',
  for: CronJobs,
  owns: [Jobs],
  machine: cronJobMachine,
});
