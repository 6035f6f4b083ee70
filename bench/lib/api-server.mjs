import { mkdirSync, writeFileSync } from 'node:fs';
import { Session } from 'node:inspector/promises';
import { dirname, join } from 'node:path';
import { silentLogger, systemClock, systemRandom } from '@trimtab/machinery';
import {
  bootstrapCluster,
  builtinKinds,
  componentUsers,
  createApiServer,
  createClusterSecurity,
  ensurePki,
} from '@trimtab/server';
import { embeddedEngine, openStore } from '@trimtab/store';

/**
 * The API server of a cluster and nothing else, in a process of its own: durable store, certificates, RBAC and admission as
 * `trimtab up` has them, but no controllers and no nodes that would write as well. Spoken to over the channel of `fork`.
 */
const [directory] = process.argv.slice(2);
const ambient = { clock: systemClock, random: systemRandom, logger: silentLogger };
const store = await openStore({ engine: await embeddedEngine(join(directory, 'store')), clock: systemClock });
const pki = ensurePki(join(directory, 'pki'), { addresses: ['127.0.0.1'], clock: systemClock });
const security = createClusterSecurity({
  store,
  ...ambient,
  serviceAccountKey: pki.serviceAccountKey,
  serviceCIDR: '10.96.0.0/16',
  issuer: 'https://kubernetes.default.svc',
});
const server = await createApiServer({
  ...ambient,
  store,
  kinds: [builtinKinds({ strategies: security.strategies })],
  authenticator: security.authenticator,
  authorizer: security.authorizer,
  admission: security.admission,
  handlers: security.handlers,
  rawHandlers: security.rawHandlers,
  tls: { cert: pki.serving.certificate, key: pki.serving.key, clientCa: pki.caCertificate },
  port: 0,
});
await bootstrapCluster({ client: server.localClient(componentUsers.apiServer), reader: security.reader });

let profiler;
const commands = {
  async profile() {
    profiler = new Session();
    profiler.connect();
    await profiler.post('Profiler.enable');
    await profiler.post('Profiler.setSamplingInterval', { interval: 200 });
    await profiler.post('Profiler.start');
  },
  async profiled(file) {
    const { profile } = await profiler.post('Profiler.stop');
    profiler.disconnect();
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, JSON.stringify(profile));
  },
  collect: () => globalThis.gc?.(),
  rss: () => process.memoryUsage.rss() / 2 ** 20,
};
process.on('message', async ({ id, command, argument }) => {
  process.send({ id, value: await commands[command](argument) });
});
process.on('disconnect', () => process.exit(0));
process.send({ url: server.url, ca: pki.caCertificate, cert: pki.admin.certificate, key: pki.admin.key });
