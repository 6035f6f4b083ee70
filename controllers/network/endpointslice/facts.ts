import { isDeleting, type View } from '@trimtab/framework';
import { type EndpointSlice, EndpointSlices, type Service } from '@trimtab/machinery';
import { isManaged } from '../service-pods.js';
import { desiredGroups } from './desired.js';
import { planSlices, type SlicePlan, same } from './plan.js';

export const MANAGED_BY_LABEL = 'endpointslice.kubernetes.io/managed-by';
export const MANAGER = 'endpointslice-controller.k8s.io';

/** All that a Service's slices depend on. */
export interface SliceFacts {
  readonly service: Service;
  readonly managed: boolean;
  readonly plan: SlicePlan;
  readonly endpoints: number;
  readonly settled: boolean;
}

export function sliceFacts(view: View<Service>): SliceFacts | undefined {
  const service = view.object;
  if (!service || isDeleting(service)) return undefined;
  const managed = isManaged(service);
  const slices = slicesOf(view);
  const groups = managed ? desiredGroups(service, view) : [];
  const plan = planSlices(groups, slices);
  const settled =
    plan.make.length === 0 &&
    plan.drop.length === 0 &&
    plan.keep.every(({ slice, endpoints }) => same(endpoints, slice.endpoints ?? []));
  return { service, managed, plan, settled, endpoints: groups.reduce((n, group) => n + group.endpoints.length, 0) };
}

/** The slices this controller made for the Service; those of others are left alone. */
const slicesOf = (view: View<Service>): readonly EndpointSlice[] =>
  view.object?.metadata.uid
    ? view
        .byIndex(EndpointSlices, 'owner', view.object.metadata.uid)
        .filter((slice) => slice.metadata.labels?.[MANAGED_BY_LABEL] === MANAGER && !isDeleting(slice))
    : [];
