import { type ControllerDefinition, controller, watch } from '@trimtab/framework';
import { EndpointsResource, Services } from '@trimtab/machinery';
import { podsByLabel, podsThatShow } from '../service-pods.js';
import { endpointsMachine } from './machine.js';

/** Publishes the pods behind each Service as the legacy Endpoints, too (kubernetes: pkg/controller/endpoint). */
export const endpointsController: ControllerDefinition = controller({
  name: 'endpoint-controller',
  for: Services,
  watches: [
    podsThatShow,
    watch(EndpointsResource, ({ metadata }) => [{ namespace: metadata.namespace, name: metadata.name! }]),
  ],
  indexes: [podsByLabel],
  machine: endpointsMachine,
});
