import type { ControllerDefinition } from '@trimtab/framework';
import { horizontalPodAutoscalerController, type MetricsReader } from './autoscaler/controller.js';
import { cronJobController } from './cronjob/controller.js';
import { daemonSetController } from './daemonset/controller.js';
import { deploymentController } from './deployment/controller.js';
import { disruptionController } from './disruption/controller.js';
import { jobController } from './job/controller.js';
import { replicaSetController, replicationController } from './replicaset/controller.js';
import { statefulSetController } from './statefulset/controller.js';

export {
  cronJobController,
  daemonSetController,
  deploymentController,
  disruptionController,
  horizontalPodAutoscalerController,
  jobController,
  type MetricsReader,
  replicaSetController,
  replicationController,
  statefulSetController,
};

export const workloadControllers: readonly ControllerDefinition[] = [
  deploymentController,
  replicaSetController,
  replicationController,
  daemonSetController,
  jobController,
  cronJobController,
  statefulSetController,
  disruptionController,
];
