import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Chain, type PluginLookup } from './chain.js';
import { checkInvocation } from './conflist.js';
import { CniError, type CniResult, type Invocation, type NetworkConfigList } from './types.js';
import { VETH_PLUGIN_TYPE } from './veth-plugin.js';

/**
 * What the kubelet asks of a pod network: the CNI verbs, nothing else. Verbs are idempotent; `add` of an attached pod answers
 * with the addresses it already has.
 */
export interface PodNetwork {
  add(attachment: PodAttachment): Promise<PodNetworkStatus>;
  /** Best effort and idempotent; the namespace may be gone. */
  del(attachment: PodAttachment): Promise<void>;
  /** Drops every attachment whose sandbox is not in `living` (CNI GC). */
  gc(living: readonly string[]): Promise<void>;
  /** Rejects with the reason while pods cannot be attached (CNI STATUS). */
  status(): Promise<void>;
}

export interface PodAttachment {
  readonly sandboxId: string;
  /** Path that opens the pod's network namespace. */
  readonly netns: string;
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly hostPorts: readonly {
    readonly hostPort: number;
    readonly containerPort: number;
    readonly protocol: string;
    readonly hostIP?: string;
  }[];
}

export interface PodNetworkStatus {
  /** Primary address first, without prefix length. */
  readonly ips: readonly string[];
}

const IF_NAME = 'eth0';

/**
 * A CNI network as the kubelet's pod network. Calls for one sandbox run one after another, GC alone. Results of foreign
 * plugins are kept in `resultsDir`, because a second ADD is forbidden to them and DEL wants the result; our own plugin
 * derives both from what it finds.
 */
export class CniPodNetwork implements PodNetwork {
  readonly #chain: Chain;
  readonly #resultsDir: string;
  readonly #keepsResults: boolean;
  readonly #running = new Map<string, Promise<unknown>>();
  #collecting: Promise<void> = Promise.resolve();

  constructor(list: NetworkConfigList, lookup: PluginLookup, resultsDir: string) {
    this.#chain = new Chain(list, lookup);
    this.#resultsDir = resultsDir;
    this.#keepsResults = list.plugins.some((plugin) => plugin.type !== VETH_PLUGIN_TYPE);
  }

  add(attachment: PodAttachment): Promise<PodNetworkStatus> {
    return this.#inTurn(attachment.sandboxId, async () => {
      checkInvocation(attachment.sandboxId, IF_NAME);
      const known = await this.#readResult(attachment.sandboxId);
      const result = known ?? (await this.#chain.add(invocationOf(attachment)));
      if (!known) await this.#writeResult(attachment.sandboxId, result);
      const ips = (result.ips ?? []).map((ip) => ip.address.split('/')[0] ?? '');
      if (ips.length === 0)
        throw new CniError(100, `network "${this.#chain.list.name}" gave ${attachment.sandboxId} no address`);
      return { ips };
    });
  }

  del(attachment: PodAttachment): Promise<void> {
    return this.#inTurn(attachment.sandboxId, async () => {
      checkInvocation(attachment.sandboxId, IF_NAME);
      await this.#chain.del(invocationOf(attachment), await this.#readResult(attachment.sandboxId));
      if (this.#keepsResults) await rm(this.#resultFile(attachment.sandboxId), { force: true });
    });
  }

  /** CNI CHECK: rejects with what differs from what ADD answered. */
  check(attachment: PodAttachment): Promise<void> {
    return this.#inTurn(attachment.sandboxId, async () => {
      const result = (await this.#readResult(attachment.sandboxId)) ?? { cniVersion: this.#chain.list.cniVersion };
      await this.#chain.check(invocationOf(attachment), result);
    });
  }

  async gc(living: readonly string[]): Promise<void> {
    const others = [this.#collecting, ...this.#running.values()];
    this.#collecting = Promise.allSettled(others).then(async () => {
      if (this.#keepsResults) await this.#collectResults(new Set(living));
      await this.#chain.gc(living.map((containerID) => ({ containerID, ifname: IF_NAME })));
    });
    await this.#collecting;
  }

  async status(): Promise<void> {
    await this.#chain.status();
  }

  #inTurn<T>(sandboxId: string, work: () => Promise<T>): Promise<T> {
    const before = [this.#collecting, this.#running.get(sandboxId)];
    const mine = Promise.allSettled(before).then(work);
    const settled = mine
      .catch(() => {})
      .then(() => {
        if (this.#running.get(sandboxId) === settled) this.#running.delete(sandboxId);
      });
    this.#running.set(sandboxId, settled);
    return mine;
  }

  #resultFile(sandboxId: string): string {
    return join(this.#resultsDir, `${sandboxId}.json`);
  }

  async #readResult(sandboxId: string): Promise<CniResult | undefined> {
    if (!this.#keepsResults) return undefined;
    try {
      return JSON.parse(await readFile(this.#resultFile(sandboxId), 'utf8')) as CniResult;
    } catch {
      return undefined;
    }
  }

  async #writeResult(sandboxId: string, result: CniResult): Promise<void> {
    if (!this.#keepsResults) return;
    await mkdir(this.#resultsDir, { recursive: true });
    const file = this.#resultFile(sandboxId);
    await writeFile(`${file}.new`, JSON.stringify(result));
    await rename(`${file}.new`, file);
  }

  /** Plugins that came before GC free things only on DEL. */
  async #collectResults(living: ReadonlySet<string>): Promise<void> {
    const files = await readdir(this.#resultsDir).catch(() => []);
    for (const file of files) {
      const sandboxId = file.replace(/\.json$/, '');
      if (sandboxId === file || living.has(sandboxId)) continue;
      const call = { containerId: sandboxId, netns: '', ifName: IF_NAME, args: {}, runtimeConfig: {} };
      await this.#chain.del(call, await this.#readResult(sandboxId)).catch(() => {});
      await rm(this.#resultFile(sandboxId), { force: true });
    }
  }
}

function invocationOf(a: PodAttachment): Invocation {
  return {
    containerId: a.sandboxId,
    netns: a.netns,
    ifName: IF_NAME,
    args: {
      IgnoreUnknown: '1',
      K8S_POD_NAMESPACE: a.namespace,
      K8S_POD_NAME: a.name,
      K8S_POD_INFRA_CONTAINER_ID: a.sandboxId,
      K8S_POD_UID: a.uid,
    },
    runtimeConfig: { portMappings: a.hostPorts },
  };
}
