import { changeTo, create, type Effect, isDeleting, remove, type View } from '@trimtab/framework';
import { type EndpointSubset, type Endpoints, EndpointsResource, type Service } from '@trimtab/machinery';
import { setup } from 'xstate';
import { HEADLESS_LABEL, isHeadless, isManaged } from '../service-pods.js';
import { sameSubsets, subsetsOf } from './subsets.js';

const MANAGED_BY_LABEL = 'endpoints.kubernetes.io/managed-by';
const MANAGER = 'endpoint-controller';

interface Context {
  readonly service: Service | undefined;
  readonly present: Endpoints | undefined;
  readonly subsets: readonly EndpointSubset[];
}

function contextOf(view: View<Service>): Context {
  const service = view.object && !isDeleting(view.object) ? view.object : undefined;
  const managed = service !== undefined && isManaged(service);
  return {
    service,
    present: view.get(EndpointsResource, view.key),
    subsets: managed ? subsetsOf(service, view) : [],
  };
}

function publish({ service, present, subsets }: Context): readonly Effect[] {
  const labels = {
    ...service!.metadata.labels,
    [MANAGED_BY_LABEL]: MANAGER,
    ...(isHeadless(service!) ? { [HEADLESS_LABEL]: '' } : {}),
  };
  const { name, namespace } = service!.metadata;
  if (!present) return [create<Endpoints>(EndpointsResource, { metadata: { name, namespace, labels }, subsets })];
  const metadata = { ...present.metadata, labels };
  const same = sameSubsets(subsets, present.subsets ?? []);
  return changeTo(EndpointsResource, present, { ...present, metadata, ...(same ? {} : { subsets }) });
}

/** Those made by hand, or for the API server itself, are nobody's to delete. */
const isOurs = ({ present }: Context): boolean => present?.metadata.labels?.[MANAGED_BY_LABEL] === MANAGER;

/** The legacy Endpoints object of a Service. */
export const endpointsMachine = setup({
  types: { context: {} as Context, input: {} as { readonly view: View<Service> } },
  guards: {
    orphaned: ({ context }) => context.service === undefined && isOurs(context),
    gone: ({ context }) => context.service === undefined,
    unmanaged: ({ context }) => !isManaged(context.service!),
  },
  actions: {
    publish: ({ context }) => publish(context),
    remove: ({ context }) => [remove(EndpointsResource, context.present!)],
  },
}).createMachine({
  id: 'endpoints',
  context: ({ input }) => contextOf(input.view),
  initial: 'deciding',
  states: {
    deciding: {
      always: [
        { guard: 'orphaned', target: 'orphaned' },
        { guard: 'gone', target: 'gone' },
        { guard: 'unmanaged', target: 'unmanaged' },
        { target: 'published' },
      ],
    },
    orphaned: { entry: 'remove' },
    gone: {},
    unmanaged: {},
    published: { entry: 'publish' },
  },
});
