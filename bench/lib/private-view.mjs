import { spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';

/**
 * crun and runc refuse a host with cgroup v1 and v2 at once, and podman keeps state in places of the whole machine. Both go
 * into a mount namespace in which the v2 tree is unmounted and those places are empty.
 */
const SCRIPT = `
set -e
if mountpoint -q /sys/fs/cgroup/unified; then umount /sys/fs/cgroup/unified; fi
mkdir -p /var/lib/cni /run/netns /run/crun /run/runc
mount --bind "$1" /var/lib/cni
for place in /dev/shm /run/netns /run/crun /run/runc; do mount -t tmpfs -o mode=755 bench "$place"; done
chmod 1777 /dev/shm
echo ready
exec sleep 100000
`;

export class PrivateView {
  #keeper;

  /** Its network namespace is the room's second one, or the room's own. @param {import('./stage.mjs').Room} room */
  static async open(room, { namespace = room.peers } = {}) {
    const view = new PrivateView();
    const places = join(room.directory, 'view', 'cni');
    mkdirSync(places, { recursive: true });
    const words = ['--pdeathsig', 'KILL', 'nsenter', `--net=/run/netns/${namespace}`, 'unshare', '--mount'];
    view.#keeper = spawn('setpriv', [...words, '--propagation', 'private', 'sh', '-c', SCRIPT, 'view', places], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let said = '';
    view.#keeper.stderr.on('data', (chunk) => {
      said += chunk;
    });
    await new Promise((resolve, reject) => {
      view.#keeper.stdout.once('data', resolve);
      view.#keeper.once('exit', () => reject(new Error(`no mount namespace of its own: ${said}`)));
    });
    return view;
  }

  /** Program and arguments that run something inside. @returns {[string, string[]]} */
  inside(program, args) {
    return ['nsenter', ['-t', String(this.#keeper.pid), '--mount', '--net', '--', program, ...args]];
  }

  close() {
    this.#keeper.kill('SIGKILL');
  }
}
