import { type ControllerDefinition, controller, watch } from '@trimtab/framework';
import { EndpointSlices, EndpointsResource, equalJson, Services } from '@trimtab/machinery';
import { mirroringMachine } from './machine.js';

/** Mirrors Endpoints of Services without a selector in EndpointSlices (kubernetes: pkg/controller/endpointslicemirroring). */
export const endpointSliceMirroringController: ControllerDefinition = controller({
  name: 'endpointslice-mirroring-controller',
  for: EndpointsResource,
  owns: [EndpointSlices],
  watches: [
    watch(Services, ({ metadata }) => [{ namespace: metadata.namespace, name: metadata.name! }], {
      ignores: (before, after) => equalJson(before.spec?.selector, after.spec?.selector),
    }),
  ],
  machine: mirroringMachine,
});
