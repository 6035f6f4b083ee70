import { ask, inParallel } from './wire.mjs';

/** What is put on the cluster: Deployments with a Service each, spread over namespaces. */

const two = (n) => String(n).padStart(3, '0');

/** @param {number} i @param {{ replicas: number, namespaces: number }} shape */
export const nameOf = (i, { namespaces }) => ({ namespace: `load-${two(i % namespaces)}`, name: `app-${two(i)}` });

function deployment(i, shape) {
  const { namespace, name } = nameOf(i, shape);
  const labels = { app: name, tier: 'backend', 'app.kubernetes.io/part-of': 'shop' };
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { namespace, name, labels },
    spec: {
      replicas: shape.replicas,
      selector: { matchLabels: { app: name } },
      template: {
        metadata: { labels, annotations: { 'prometheus.io/scrape': 'true', 'prometheus.io/port': '9090' } },
        spec: {
          terminationGracePeriodSeconds: 5,
          containers: [
            {
              name: 'server',
              image: `registry.example.com/team/${name}:v1`,
              args: ['--listen=:8080', '--log-level=info'],
              ports: [{ name: 'http', containerPort: 8080 }],
              env: [
                { name: 'POD_NAME', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
                { name: 'DATABASE', value: `postgres://db.${namespace}.svc:5432/main` },
              ],
              resources: { requests: { cpu: '50m', memory: '64Mi' }, limits: { cpu: '500m', memory: '256Mi' } },
            },
          ],
        },
      },
    },
  };
}

function service(i, shape) {
  const { namespace, name } = nameOf(i, shape);
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { namespace, name },
    spec: { selector: { app: name }, ports: [{ name: 'http', port: 80, targetPort: 'http' }] },
  };
}

const post = (session, path, body) => ask(session, { method: 'POST', path, body: JSON.stringify(body) });

/** Makes namespaces, Services and Deployments; resolves with the latencies of the Deployments' creation. */
export async function makeLoad(session, deployments, shape) {
  await inParallel(shape.namespaces, 16, (i) =>
    post(session, '/api/v1/namespaces', { metadata: { name: `load-${two(i)}` } }),
  );
  return async () => {
    const answers = await inParallel(deployments, 16, async (i) => {
      const { namespace } = nameOf(i, shape);
      await post(session, `/api/v1/namespaces/${namespace}/services`, service(i, shape));
      return post(session, `/apis/apps/v1/namespaces/${namespace}/deployments`, deployment(i, shape));
    });
    return answers.map(({ ms }) => ms);
  };
}

/** Follows the Deployments' status, as `kubectl rollout status` does, and knows how many replicas are ready. */
export class Readiness {
  ready = 0;
  #of = new Map();
  #waiting = [];
  #rest = [];

  constructor(session) {
    const path = '/apis/apps/v1/deployments?watch=true&allowWatchBookmarks=false';
    this.stream = session.request({ ':path': path, accept: 'application/json' });
    this.stream.on('data', (chunk) => this.#chunk(chunk));
    this.stream.on('error', () => {});
  }

  #chunk(chunk) {
    let from = 0;
    for (let at = chunk.indexOf(10); at >= 0; at = chunk.indexOf(10, from)) {
      this.#rest.push(chunk.subarray(from, at));
      this.#event(JSON.parse(Buffer.concat(this.#rest).toString()));
      this.#rest = [];
      from = at + 1;
    }
    if (from < chunk.length) this.#rest.push(chunk.subarray(from));
  }

  #event({ type, object }) {
    if (type === 'ERROR') throw new Error(JSON.stringify(object));
    const ready = type === 'DELETED' ? 0 : (object.status?.readyReplicas ?? 0);
    this.ready += ready - (this.#of.get(object.metadata.uid) ?? 0);
    this.#of.set(object.metadata.uid, ready);
    this.#waiting = this.#waiting.filter(({ count, resolve }) => this.ready < count || resolve());
  }

  /** Resolves once so many replicas are ready; rejects after `ms`. */
  reached(count, ms) {
    return new Promise((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(`${this.ready} of ${count} ready after ${ms} ms`)), ms);
      const done = () => {
        clearTimeout(late);
        resolve();
      };
      if (this.ready >= count) done();
      else this.#waiting.push({ count, resolve: done });
    });
  }

  close() {
    this.stream.close();
  }
}

/** Counts what is stored, page by page, not what somebody says of it. */
export async function countRunning(session) {
  let next = '';
  let running = 0;
  let pods = 0;
  do {
    const { bytes } = await ask(session, { path: `/api/v1/pods?limit=1000&continue=${next}`, keep: true });
    const { items, metadata } = JSON.parse(bytes);
    pods += items.length;
    running += items.filter(({ status }) => status.phase === 'Running').length;
    next = encodeURIComponent(metadata.continue ?? '');
  } while (next !== '');
  return { pods, running };
}
