import type { PodAttachment, PodNetworkStatus } from '../../kubelet-lite/node/pod-network.js';
import type { NativeRuntime } from '../../kubelet-lite/runtime/native/index.js';
import { SimulatedNetwork } from '../../kubelet-lite/simulated/simulated-node.js';

/** Gives a pod its address on its own loopback: it and its probes reach it, nobody else does. */
export class LoopbackNetwork extends SimulatedNetwork {
  readonly #runtime: NativeRuntime;

  constructor(runtime: NativeRuntime) {
    super();
    this.#runtime = runtime;
  }

  override async add(attachment: PodAttachment): Promise<PodNetworkStatus> {
    const status = await super.add(attachment);
    const script = `ip link set lo up && ip addr replace ${status.ips[0]}/32 dev lo`;
    const { exitCode, stderr } = await this.#runtime.core.request<{ exitCode: number; stderr: string }>('process.run', {
      args: ['/bin/sh', '-c', script],
      env: ['PATH=/usr/sbin:/usr/bin:/sbin:/bin'],
      stdin: '',
      netns: attachment.netns,
      timeoutMs: 120_000,
      maxOutput: 4_096,
    });
    if (exitCode !== 0) throw new Error(`${script}: ${stderr}`);
    return status;
  }
}
