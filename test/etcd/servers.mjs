#!/usr/bin/env node
/**
 * Two `trimtab up` over an etcd cluster of three, every one of them a machine of its own, and a client on a sixth that talks to both:
 * what one server has acknowledged the other knows, nothing is given away twice, one of them leads, and the other takes over.
 *
 *     node test/etcd/servers.mjs [--rounds 60] [--keep] [--program cli/bin/trimtab.mjs]
 */
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Members } from './members.mjs';
import { Network } from './network.mjs';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const { values } = parseArgs({
  options: {
    keep: { type: 'boolean', default: false },
    rounds: { type: 'string', default: '60' },
    program: { type: 'string', default: here('../../cli/bin/trimtab.mjs') },
  },
});
const base = mkdtempSync(join(tmpdir(), 'trimtab-servers-'));
const network = new Network(String(process.pid));
const servers = [];
let members;
let client;
try {
  members = new Members(network, base);
  await members.start();
  const machines = [network.machine('a', '10.77.0.1'), network.machine('b', '10.77.0.2')];
  const home = network.machine('c', '10.77.0.3');
  mkdirSync(join(base, 'pki'), { mode: 0o700 });
  const storage = `etcd://${members.endpoints.join(',')}/test`;
  for (const machine of machines) servers.push(await up(machine, storage));
  console.log(`ready after ${servers.map(({ ms }) => `${ms} ms`).join(' and ')}`);

  const stranger = network.machine('d', '10.77.0.4');
  const refused = await ended(start(stranger, ['--storage', storage, '--data-dir', join(base, 'd')]));
  check(
    refused.code !== 0 && /another's.*ca\.crt/s.test(refused.stderr),
    `a server with another authority: ${refused.stderr}`,
  );

  client = home.spawn(
    process.execPath,
    [here('./servers-client.mjs'), values.rounds, ...servers.map(({ kubeconfig }) => kubeconfig)],
    { stdio: ['pipe', 'pipe', 'inherit'] },
  );
  for await (const line of createInterface({ input: client.stdout })) {
    const { say, kill } = JSON.parse(line);
    if (say) console.log(say);
    if (kill) {
      const server = servers.find(({ machine }) => machine.name === kill);
      const closed = once(server.child, 'close');
      server.child.kill('SIGKILL');
      await closed;
      client.stdin.write('killed\n');
    }
  }
  if (client.exitCode === null) await once(client, 'close');
  if (client.exitCode !== 0) throw new Error(`the client ended with ${client.exitCode}`);
} catch (error) {
  console.error(error.stack);
  for (const { machine, stderr } of servers) console.error(`--- ${machine.name}\n${stderr().slice(-3000)}`);
  process.exitCode = 1;
} finally {
  client?.kill('SIGKILL');
  for (const { child } of servers)
    if (child.exitCode === null && child.signalCode === null) await ended({ child, signal: 'SIGTERM' });
  await members?.stop();
  network.remove();
  if (!values.keep) rmSync(base, { recursive: true, force: true });
}

function check(holds, otherwise) {
  if (!holds) throw new Error(otherwise);
}

function start(machine, more) {
  const args = [
    values.program,
    'up',
    '--no-node',
    '--port',
    '6443',
    '--bind',
    machine.address,
    '--node-name',
    machine.name,
    '--output',
    'json',
    '--leader-elect-lease-duration',
    '8',
    '--leader-elect-renew-deadline',
    '6',
    '--leader-elect-retry-period',
    '1',
  ];
  const child = machine.spawn(process.execPath, [...args, ...more], { stdio: ['ignore', 'pipe', 'pipe'] });
  let stderr = '';
  child.stderr.on('data', (text) => {
    stderr += text;
  });
  return { machine, child, stderr: () => stderr };
}

async function up(machine, storage) {
  const data = join(base, machine.name);
  const server = start(machine, ['--storage', storage, '--data-dir', data, '--pki-dir', join(base, 'pki')]);
  for await (const line of createInterface({ input: server.child.stdout })) {
    const { event, ms } = JSON.parse(line);
    if (event === 'ready') return { ...server, ms, kubeconfig: join(data, 'kubeconfig') };
  }
  throw new Error(`${machine.name} did not start: ${server.stderr()}`);
}

async function ended({ child, stderr, signal }) {
  const timer = setTimeout(() => child.kill('SIGKILL'), 60_000);
  if (signal) child.kill(signal);
  child.stdout.resume();
  const [code] = await once(child, 'close');
  clearTimeout(timer);
  return { code, stderr: stderr?.() };
}
