import { changeTo, controllerReference, create, type Effect, event, remove } from '@trimtab/framework';
import { type EndpointSlice, EndpointSlices, type Endpoints, EndpointsResource, equalJson } from '@trimtab/machinery';
import { MANAGED_BY_LABEL } from '../endpointslice/facts.js';
import { same } from '../endpointslice/plan.js';
import { HEADLESS_LABEL, SERVICE_NAME_LABEL } from '../service-pods.js';
import { MIRROR, type MirrorFacts } from './facts.js';

/** Annotations that speak of the Endpoints alone. */
const OWN_ANNOTATIONS = new Set([
  'kubectl.kubernetes.io/last-applied-configuration',
  'endpoints.kubernetes.io/last-change-trigger-time',
]);

/** New slices first and empty ones last, so that no endpoint is ever missing from all of them. */
export const mirror = ({ endpoints, plan, skipped }: MirrorFacts): readonly Effect[] => [
  ...plan.make.map(({ group, endpoints: content }) =>
    create<EndpointSlice>(
      EndpointSlices,
      {
        apiVersion: 'discovery.k8s.io/v1',
        kind: 'EndpointSlice',
        metadata: {
          generateName: `${endpoints.metadata.name}-`,
          namespace: endpoints.metadata.namespace,
          ...copied(endpoints),
          ownerReferences: [controllerReference(EndpointsResource, endpoints)],
        },
        addressType: group.family,
        endpoints: content,
        ports: group.ports,
      },
      {
        regarding: endpoints,
        failed: { reason: 'FailedToUpdateEndpointSlices', message: 'Error mirroring to EndpointSlices: {error}' },
      },
    ),
  ),
  ...plan.keep.flatMap(({ slice, endpoints: content }) => {
    const { labels, annotations } = copied(endpoints);
    const alike =
      equalJson(labels, slice.metadata.labels) && equalJson(annotations ?? {}, slice.metadata.annotations ?? {});
    const metadata = alike ? slice.metadata : { ...slice.metadata, labels, annotations };
    const wanted = same(content, slice.endpoints ?? []) ? slice : { ...slice, endpoints: content };
    return changeTo(EndpointSlices, slice, alike ? wanted : { ...wanted, metadata });
  }),
  ...plan.drop.map((slice) => remove(EndpointSlices, slice)),
  ...(skipped > 0
    ? [
        event(
          endpoints,
          'Warning',
          'TooManyAddressesToMirror',
          `A max of 1000 addresses can be mirrored to EndpointSlices per Endpoints subset. ${skipped} addresses were skipped`,
        ),
      ]
    : []),
];

function copied({ metadata }: Endpoints): Pick<Endpoints['metadata'], 'labels' | 'annotations'> {
  const { [HEADLESS_LABEL]: _, 'endpoints.kubernetes.io/managed-by': __, ...labels } = metadata.labels ?? {};
  const annotations = Object.entries(metadata.annotations ?? {}).filter(([name]) => !OWN_ANNOTATIONS.has(name));
  return {
    labels: { ...labels, [SERVICE_NAME_LABEL]: metadata.name!, [MANAGED_BY_LABEL]: MIRROR },
    ...(annotations.length > 0 ? { annotations: Object.fromEntries(annotations) } : {}),
  };
}
