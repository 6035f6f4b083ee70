import { type Pod, Pods, type Service, Services } from '@trimtab/machinery';
import type { Scenario } from '@trimtab/testing';
import { survives } from '../test-plans.js';
import { endpointSliceController, endpointsController } from './index.js';

/** What publishes the pods behind Services under every single fault, and some pairs; and at rest for a day. */
const key = { namespace: 'ns', name: 'web' };
const labels = { app: 'web' };
const service: Service = {
  metadata: key,
  spec: { clusterIP: 'None', selector: labels, ports: [{ name: 'h', port: 80 }] },
};
const pod = (name: string): Pod => ({
  metadata: { namespace: 'ns', name, labels },
  spec: { nodeName: 'n', containers: [{ name: 'c', image: 'i', ports: [{ containerPort: 80 }] }] },
});

const scenario: Scenario = {
  world: { controllers: [endpointSliceController, endpointsController] },
  async workload(w) {
    const tell = (name: string, ip: string, ready: string) => {
      const status = { phase: 'Running', podIP: ip, podIPs: [{ ip }], conditions: [{ type: 'Ready', status: ready }] };
      return w.patch(Pods, { namespace: 'ns', name }, { status }, { subresource: 'status' });
    };
    await w.create(Services, service);
    await w.create(Pods, pod('a'), pod('b'));
    await tell('a', '10.0.0.1', 'True');
    await tell('b', '10.0.0.2', 'False');
    await w.settle();
    await tell('b', '10.0.0.2', 'True');
    await w.remove(Pods, { namespace: 'ns', name: 'a' }, { gracePeriodSeconds: 0 });
    await w.settle();
    await w.patch(Services, key, { spec: { ports: [{ name: 'h', port: 81 }] } });
    await w.settle();
  },
};

test('Endpoints and EndpointSlices', () => survives(scenario));
