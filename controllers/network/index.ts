export { endpointsController } from './endpoints/controller.js';
export { endpointSliceController } from './endpointslice/controller.js';
