/** An etcd cluster of three, one a machine. */
import { once } from 'node:events';
import { join } from 'node:path';

const CLIENT = 2379;
const PEER = 2380;

export class Members {
  /** @param {import('./network.mjs').Network} network */
  constructor(network, directory, count = 3) {
    this.directory = directory;
    this.all = Array.from({ length: count }, (_, i) => ({
      name: `m${i + 1}`,
      machine: network.machine(`m${i + 1}`, `10.77.0.${11 + i}`),
      child: undefined,
    }));
    this.endpoints = this.all.map(({ machine }) => `${machine.address}:${CLIENT}`);
    this.started = false;
  }

  async start() {
    for (const member of this.all) this.begin(member);
    this.started = true;
    for (const member of this.all) await this.serving(member);
  }

  begin(member) {
    const { name, machine } = member;
    const client = `http://${machine.address}:${CLIENT}`;
    const peer = `http://${machine.address}:${PEER}`;
    const flags = {
      name,
      'data-dir': join(this.directory, name),
      'listen-client-urls': client,
      'advertise-client-urls': client,
      'listen-peer-urls': peer,
      'initial-advertise-peer-urls': peer,
      'initial-cluster': this.all.map((m) => `${m.name}=http://${m.machine.address}:${PEER}`).join(','),
      'initial-cluster-state': this.started ? 'existing' : 'new',
      // Members that wait for a processor, among others of the same machine, are no faulty members.
      'heartbeat-interval': 300,
      'election-timeout': 3000,
      logger: 'zap',
    };
    member.child = machine.spawn(
      'etcd',
      Object.entries(flags).map(([flag, value]) => `--${flag}=${value}`),
      { stdio: ['ignore', 'ignore', 'pipe'] },
    );
    member.log = '';
    member.child.stderr.on('data', (text) => {
      member.log = (member.log + text).slice(-8000);
      if (/"serving client traffic/.test(member.log)) member.child.emit('serving');
    });
  }

  async serving(member) {
    if (/"serving client traffic/.test(member.log)) return;
    const ended = once(member.child, 'close').then(() =>
      Promise.reject(new Error(`etcd ${member.name} ended: ${member.log}`)),
    );
    await Promise.race([once(member.child, 'serving'), ended]);
  }

  /** The member that leads now; asked of each over its own machine. */
  async leader() {
    for (const member of this.all) {
      if (member.child?.exitCode !== null || member.child?.signalCode !== null) continue;
      const url = `http://${member.machine.address}:${CLIENT}/v3/maintenance/status`;
      const script = `fetch(${JSON.stringify(url)},{method:'POST',body:'{}',signal:AbortSignal.timeout(1000)}).then(r=>r.json()).then(s=>console.log(s.leader===s.header.member_id))`;
      const child = member.machine.spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'ignore'] });
      let out = '';
      child.stdout.on('data', (text) => {
        out += text;
      });
      await once(child, 'close');
      if (out.trim() === 'true') return member;
    }
    return undefined;
  }

  async kill(member, signal = 'SIGKILL') {
    const { child } = member;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const closed = once(child, 'close');
    child.kill(signal);
    await closed;
  }

  async stop() {
    for (const member of this.all) {
      member.child?.kill('SIGCONT');
      await this.kill(member);
    }
  }
}
