/**
 * Machines that are network namespaces on one bridge, so that a cable can be pulled. Everything is gone when it is removed.
 */
import { spawn, spawnSync } from 'node:child_process';

const ip = (...args) => {
  const { status, stderr } = spawnSync('ip', args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`ip ${args.join(' ')}: ${stderr}`);
};

export class Network {
  #namespaces = [];
  #hub;

  constructor(name) {
    this.name = name;
    this.#hub = this.#namespace('hub');
    ip('-n', this.#hub, 'link', 'add', 'bridge', 'type', 'bridge');
    ip('-n', this.#hub, 'link', 'set', 'bridge', 'up');
  }

  /** A machine with one address. */
  machine(name, address) {
    const namespace = this.#namespace(name);
    const port = `port-${name}`;
    ip('-n', this.#hub, 'link', 'add', port, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', namespace);
    ip('-n', this.#hub, 'link', 'set', port, 'master', 'bridge', 'up');
    ip('-n', namespace, 'addr', 'add', `${address}/24`, 'dev', 'eth0');
    ip('-n', namespace, 'link', 'set', 'lo', 'up');
    ip('-n', namespace, 'link', 'set', 'eth0', 'up');
    return {
      name,
      address,
      spawn: (program, args, options) =>
        spawn('nsenter', [`--net=/run/netns/${namespace}`, '--', program, ...args], options),
      /** Nothing comes through, and nobody is told. */
      cut: () => ip('-n', this.#hub, 'link', 'set', port, 'down'),
      mend: () => ip('-n', this.#hub, 'link', 'set', port, 'up'),
    };
  }

  remove() {
    for (const namespace of this.#namespaces.splice(0)) spawnSync('ip', ['netns', 'del', namespace]);
  }

  #namespace(name) {
    const namespace = `tt-etcd-${this.name}-${name}`;
    ip('netns', 'add', namespace);
    this.#namespaces.push(namespace);
    return namespace;
  }
}
