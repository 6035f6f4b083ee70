import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Readable, Writable } from 'node:stream';
import { type Client, connectionFrom, Informers, type NodeStreamsLookup } from '@trimtab/client';
import { customKindSource, DefinitionController, definitionStrategy } from '@trimtab/crd';
import { Namespaces, ServiceAccounts, silentLogger, systemClock, systemRandom } from '@trimtab/machinery';
import {
  bootstrapCluster,
  builtinKinds,
  componentUsers,
  createApiServer,
  createClusterSecurity,
  ensurePki,
  kubeconfig,
} from '@trimtab/server';
import { memoryEngine, openStore } from '@trimtab/store';
import { errorText } from './error-text.js';
import { Session } from './session.js';

export interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

export interface Asked {
  /** Of the command line. */
  readonly namespace?: string;
  readonly input?: string | Readable;
  /** Gets the output as it is written. */
  readonly output?: (text: string) => void;
}

export interface TestCluster {
  readonly directory: string;
  readonly kubeconfig: string;
  /** The cluster for setting the scene. */
  readonly client: Client;
  /** Makes a namespace in which pods can be created, and the one that commands use from now on. */
  newNamespace(): Promise<string>;
  /** Runs a command to its end over HTTPS, as the command line would. */
  run(work: (session: Session) => Promise<number>, asked?: Asked): Promise<Ran>;
  close(): Promise<void>;
}

const ambient = { clock: systemClock, random: systemRandom, logger: silentLogger };

/** A real API server on a free loopback port with all its security; nothing schedules or runs pods. */
export async function testCluster(nodeStreams: NodeStreamsLookup = () => undefined): Promise<TestCluster> {
  const directory = await mkdtemp(join(tmpdir(), 'trimtab-objects-'));
  const { clock, random } = ambient;
  const store = await openStore({ engine: memoryEngine(), clock });
  const pki = ensurePki(join(directory, 'pki'), { clock });
  const { serviceAccountKey } = pki;
  const security = createClusterSecurity({ store, clock, random, serviceAccountKey, serviceCIDR: '10.96.0.0/16' });
  const strategies = {
    ...security.strategies,
    'apiextensions.k8s.io/customresourcedefinitions': definitionStrategy,
  };
  const server = await createApiServer({
    ...ambient,
    ...security,
    store,
    nodeStreams,
    kinds: [builtinKinds({ strategies }), customKindSource(store)],
    tls: { cert: pki.serving.certificate, key: pki.serving.key, clientCa: pki.caCertificate },
    port: 0,
  });
  const client = server.localClient(componentUsers.apiServer);
  await bootstrapCluster({ client, reader: security.reader });
  const informers = new Informers({ ...ambient, client });
  const definitions = new DefinitionController({ ...ambient, client, informers });
  definitions.start();
  informers.start();
  const config = kubeconfig({ server: server.url, caCertificate: pki.caCertificate, user: pki.admin });
  const connection = await connectionFrom(config);
  let home = 'default';
  let namespaces = 0;
  return {
    directory,
    kubeconfig: config,
    client,
    async newNamespace() {
      home = `test-${namespaces++}`;
      await client.create(Namespaces, { metadata: { name: home } });
      await client.create(ServiceAccounts, { metadata: { name: 'default', namespace: home } });
      return home;
    },
    async run(work, { namespace, input = '', output } = {}) {
      const out = new Sink(output);
      const err = new Sink();
      const io = { input: typeof input === 'string' ? Readable.from([input]) : input, output: out, errors: err };
      const session = new Session({ ...connection, namespace: home }, io, namespace);
      try {
        const code = await work(session).catch((error: unknown) => {
          const text = errorText(error);
          if (text === undefined) throw error;
          session.complain(text);
          return 1;
        });
        return { code, out: out.text, err: err.text };
      } finally {
        session.close();
      }
    },
    async close() {
      await definitions.stop();
      informers.stop();
      await server.close();
      security.close();
      await store.close();
      await rm(directory, { recursive: true });
    },
  };
}

class Sink extends Writable {
  text = '';

  constructor(readonly told: (text: string) => void = () => {}) {
    super();
  }

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.text += chunk.toString();
    this.told(this.text);
    done();
  }
}

/** An input that looks like a terminal. */
export class Terminal extends PassThrough {
  readonly isTTY = true;
  readonly modes: boolean[] = [];

  setRawMode(raw: boolean): this {
    this.modes.push(raw);
    return this;
  }
}
