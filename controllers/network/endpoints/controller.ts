import { type ControllerDefinition, controller, watch } from '@trimtab/framework';
import { EndpointsResource, Pods, Services } from '@trimtab/machinery';
import { looksTheSame, servicesOf } from '../service-pods.js';
import { endpointsMachine } from './machine.js';

/** Publishes the pods behind each Service as the legacy Endpoints, too (kubernetes: pkg/controller/endpoint). */
export const endpointsController: ControllerDefinition = controller({
  name: 'endpoint-controller',
  for: Services,
  watches: [
    watch(Pods, servicesOf, { ignores: looksTheSame }),
    watch(EndpointsResource, ({ metadata }) => [{ namespace: metadata.namespace, name: metadata.name! }]),
  ],
  machine: endpointsMachine,
});
