export { deploymentController } from './deployment/controller.js';
export { replicaSetController } from './replicaset/controller.js';
