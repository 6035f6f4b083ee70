import { apply, controller, customKind, type ObjectOf, operator, owned, s, setCondition } from '@trimtab/framework';
import { Deployments, Services } from '@trimtab/machinery';
import { deploymentFor, serviceFor } from './parts.js';

export const Websites = customKind({
  group: 'example.com',
  version: 'v1',
  kind: 'Website',
  spec: s.object({ image: s.string({ minLength: 1 }), replicas: s.defaulted(s.integer({ minimum: 0 }), 1) }),
  status: s.object({ conditions: s.conditions() }),
  columns: [{ name: 'Ready', type: 'string', path: '.status.conditions[?(@.type=="Ready")].status' }],
});

export type Website = ObjectOf<typeof Websites>;

export const websites = controller<Website>({
  name: 'website',
  for: Websites,
  owns: [Deployments, Services],
  reconcile(view) {
    const site = view.object;
    if (!site) return [];
    const up = view.owned(Deployments)[0]?.status?.availableReplicas ?? 0;
    const ready = up >= site.spec.replicas;
    return [
      apply(Deployments, owned(Websites, site, deploymentFor(site))),
      apply(Services, owned(Websites, site, serviceFor(site))),
      ...setCondition(Websites, view, 'Ready', ready, ready ? 'AllReplicasUp' : 'RollingOut'),
    ];
  },
});

export const app = operator({ name: 'website', controllers: [websites], definitions: [Websites.definition] });
