import type { ControllerDefinition } from '@trimtab/framework';
import { daemonSetController } from './daemonset/controller.js';
import { deploymentController } from './deployment/controller.js';
import { jobController } from './job/controller.js';
import { replicaSetController } from './replicaset/controller.js';
import { statefulSetController } from './statefulset/controller.js';

export { daemonSetController, deploymentController, jobController, replicaSetController, statefulSetController };

export const workloadControllers: readonly ControllerDefinition[] = [
  deploymentController,
  replicaSetController,
  daemonSetController,
  jobController,
  statefulSetController,
];
