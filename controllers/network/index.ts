export { endpointsController } from './endpoints/controller.js';
export { endpointSliceController } from './endpointslice/controller.js';
export { endpointSliceMirroringController } from './endpointslice-mirroring/controller.js';
