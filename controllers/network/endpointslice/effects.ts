import { changeTo, controllerReference, create, type Effect, remove } from '@trimtab/framework';
import { type EndpointSlice, EndpointSlices, type Service, Services } from '@trimtab/machinery';
import { HEADLESS_LABEL, isHeadless, SERVICE_NAME_LABEL } from '../service-pods.js';
import { MANAGED_BY_LABEL, MANAGER, type SliceFacts } from './facts.js';
import { same } from './plan.js';

/** New slices first and empty ones last, so that no endpoint is ever missing from all of them. */
export const publish = ({ service, plan }: SliceFacts): readonly Effect[] => [
  ...plan.make.map(({ group, endpoints }) =>
    create<EndpointSlice>(
      EndpointSlices,
      {
        apiVersion: 'discovery.k8s.io/v1',
        kind: 'EndpointSlice',
        metadata: {
          generateName: `${service.metadata.name}-`,
          namespace: service.metadata.namespace,
          labels: labelsOf(service),
          ownerReferences: [controllerReference(Services, service)],
        },
        addressType: group.family,
        endpoints,
        ports: group.ports,
      },
      {
        regarding: service,
        failed: {
          reason: 'FailedToUpdateEndpointSlices',
          message: `Error updating Endpoint Slices for Service ${service.metadata.namespace}/${service.metadata.name}: {error}`,
        },
      },
    ),
  ),
  ...plan.keep.flatMap(({ slice, endpoints }) => {
    const labels = labelsOf(service);
    const kept = sameLabels(slice.metadata.labels, labels)
      ? slice
      : { ...slice, metadata: { ...slice.metadata, labels } };
    return changeTo(EndpointSlices, slice, same(endpoints, slice.endpoints ?? []) ? kept : { ...kept, endpoints });
  }),
  ...plan.drop.map((slice) => remove(EndpointSlices, slice)),
];

/** The Service's own labels, except those that would claim more than is so. */
function labelsOf(service: Service): Record<string, string> {
  const {
    [SERVICE_NAME_LABEL]: _,
    [MANAGED_BY_LABEL]: __,
    [HEADLESS_LABEL]: ___,
    ...own
  } = service.metadata.labels ?? {};
  return {
    ...own,
    [SERVICE_NAME_LABEL]: service.metadata.name!,
    [MANAGED_BY_LABEL]: MANAGER,
    ...(isHeadless(service) ? { [HEADLESS_LABEL]: '' } : {}),
  };
}

function sameLabels(a: Readonly<Record<string, string>> | undefined, b: Readonly<Record<string, string>>): boolean {
  const names = Object.keys(b);
  return names.length === Object.keys(a ?? {}).length && names.every((name) => a?.[name] === b[name]);
}
