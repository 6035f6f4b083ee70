import { type ControllerDefinition, controller, type Reader, watch } from '@trimtab/framework';
import { EndpointSlices, type Node, Nodes, type ObjectKey, Pods, Services } from '@trimtab/machinery';
import { podsByLabel, podsThatShow, servicesOf } from '../service-pods.js';
import { endpointSliceMachine } from './machine.js';

/** Publishes the pods behind each Service as EndpointSlices (kubernetes: pkg/controller/endpointslice). */
export const endpointSliceController: ControllerDefinition = controller({
  name: 'endpointslice-controller',
  for: Services,
  owns: [EndpointSlices],
  watches: [podsThatShow, watch(Nodes, servicesOnNode, { on: ['added', 'deleted'] })],
  indexes: [podsByLabel],
  machine: endpointSliceMachine,
});

/** A node that is news has a zone that its endpoints did not know. */
function servicesOnNode(node: Node, reader: Reader): readonly ObjectKey[] {
  return reader.byIndex(Pods, 'node', node.metadata.name ?? '').flatMap((pod) => servicesOf(pod, reader));
}
