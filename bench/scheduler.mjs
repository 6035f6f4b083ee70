// Decisions of the scheduler with the default profile: pods placed a second, in memory, without the API's part.
//   node bench/scheduler.mjs [nodes pods]…      default: 1000 10000  5000 10000  5000 50000
// kube-scheduler's own benchmark asks for at least 680 pods/s (5,000 nodes, 10,000 pods) and 810 (50,000), bindings included.
import { Picture, PROFILES, podInfo, schedule } from '@trimtab/controllers';
import { seededRandom, selectorFromLabels } from '@trimtab/machinery';

const given = process.argv.slice(2).map(Number);
const sizes = [];
for (let i = 0; i < given.length; i += 2) sizes.push([given[i], given[i + 1]]);
if (sizes.length === 0) sizes.push([1000, 10_000], [5000, 10_000], [5000, 50_000]);

const ZONE = 'topology.kubernetes.io/zone';
const HOST = 'kubernetes.io/hostname';
const node = (i) => ({
  metadata: { name: `node-${i}`, labels: { [HOST]: `node-${i}`, [ZONE]: `zone-${i % 3}` } },
  status: { allocatable: { cpu: '32', memory: '128Gi', pods: '110' } },
});
const anti = (app) => ({
  podAntiAffinity: {
    preferredDuringSchedulingIgnoredDuringExecution: [
      { weight: 1, podAffinityTerm: { topologyKey: HOST, labelSelector: { matchLabels: { app } } } },
    ],
  },
});
const spread = (app) => [
  { maxSkew: 5, topologyKey: ZONE, whenUnsatisfiable: 'DoNotSchedule', labelSelector: { matchLabels: { app } } },
];
const kinds = {
  plain: () => ({}),
  'spread by zone': (app) => ({ topologySpreadConstraints: spread(app) }),
  'anti-affinity': (app) => ({ affinity: anti(app) }),
};

for (const [nodes, pods] of sizes)
  for (const [kind, spec] of Object.entries(kinds)) {
    const picture = new Picture({
      namespaceLabels: () => undefined,
      defaultSelector: (pod) => selectorFromLabels({ app: pod.metadata.labels.app }),
    });
    for (let i = 0; i < nodes; i++) picture.setNode(node(i));
    const random = seededRandom(1);
    let from = 0;
    const slow = [];
    const begin = performance.now();
    for (let i = 0; i < pods; i++) {
      const app = `app-${Math.floor(i / 100)}`;
      const pod = {
        metadata: { name: `pod-${i}`, namespace: `ns-${i % 10}`, uid: `uid-${i}`, labels: { app } },
        spec: {
          containers: [{ name: 'c', image: 'web:1', resources: { requests: { cpu: '100m', memory: '128Mi' } } }],
          ...spec(app),
        },
      };
      const start = performance.now();
      const decision = schedule(podInfo(pod), picture, PROFILES[0], { chance: random.next(), from });
      if (!('node' in decision)) throw new Error(decision.failure.message);
      from = decision.next;
      picture.place(pod, decision.node);
      slow.push(performance.now() - start);
    }
    const seconds = (performance.now() - begin) / 1000;
    slow.sort((a, b) => a - b);
    const at = (q) => slow[Math.floor(q * (slow.length - 1))].toFixed(2);
    console.log(
      `${nodes} nodes, ${pods} pods, ${kind}: ${Math.round(pods / seconds)} pods/s; a decision p50 ${at(0.5)} ms, p99 ${at(0.99)} ms`,
    );
  }
