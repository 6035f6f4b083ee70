// What API priority and fairness costs a request that need not wait: node bench/flow-control.mjs (after npm run build)

import { systemClock } from '@trimtab/machinery';
import { FlowControl } from '@trimtab/server';

const flow = new FlowControl({ clock: systemClock, seats: 600 });
const { mandatoryFlowControl, suggestedFlowControl } = await import(
  '../api/server/dist/flowcontrol/bootstrap-objects.js'
);
for (const object of [...mandatoryFlowControl, ...suggestedFlowControl])
  flow.apply({
    resource: `flowcontrol.apiserver.k8s.io/${object.kind === 'FlowSchema' ? 'flowschemas' : 'prioritylevelconfigurations'}`,
    key: `/${object.metadata.name}`,
    object,
  });

const resource = { group: '', version: 'v1', resource: 'pods', subresource: '', namespace: 'shop', name: '' };
const users = {
  owner: { name: 'kubernetes-admin', groups: ['system:masters', 'system:authenticated'] },
  person: { name: 'ann', groups: ['dev', 'system:authenticated'] },
  kubelet: { name: 'system:node:n1', groups: ['system:nodes', 'system:authenticated'] },
};
const rounds = 9;
const requests = 50_000;
for (const [who, user] of Object.entries(users)) {
  const asked = { user, verb: 'get', resource };
  const times = [];
  for (let round = 0; round < rounds; round++) {
    const start = process.hrtime.bigint();
    for (let i = 0; i < requests; i++) flow.admit(asked, 1, 1000).release();
    times.push(Number(process.hrtime.bigint() - start) / 1000 / requests);
  }
  times.sort((a, b) => a - b);
  console.log(`${who.padEnd(8)} ${times[rounds >> 1].toFixed(2)} µs a request (median of ${rounds} rounds, owed: 5)`);
}
