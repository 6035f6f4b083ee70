import {
  CniError,
  type CniResult,
  type Invocation,
  type NetworkConfigList,
  type Plugin,
  type PluginConfig,
  type PluginInput,
  type ValidAttachment,
} from './types.js';

/** Finds the plugin behind a `type`. */
export type PluginLookup = (type: string) => Plugin;

/** Runs a configuration list by section 3 of the specification. Callers keep calls for one container from overlapping. */
export class Chain {
  constructor(
    readonly list: NetworkConfigList,
    readonly lookup: PluginLookup,
  ) {}

  /** In order, each with the result of the one before. What was added before a failure is deleted again. */
  async add(call: Invocation): Promise<CniResult> {
    let result: CniResult | undefined;
    for (const plugin of this.list.plugins) {
      try {
        result = await this.lookup(plugin.type).add(this.#input(plugin, call, result), call);
      } catch (error) {
        await this.del(call, result).catch(() => {});
        throw error;
      }
    }
    return { ...(result ?? {}), cniVersion: this.list.cniVersion };
  }

  /** In reverse, going on after failures so that as much as possible is freed; the first failure is thrown at the end. */
  async del(call: Invocation, prevResult: CniResult | undefined): Promise<void> {
    const failures: unknown[] = [];
    for (const plugin of [...this.list.plugins].reverse()) {
      await this.lookup(plugin.type)
        .del(this.#input(plugin, call, prevResult), call)
        .catch((error: unknown) => failures.push(error));
    }
    if (failures.length > 0) throw failures[0];
  }

  async check(call: Invocation, prevResult: CniResult): Promise<void> {
    if (this.list.disableCheck) return;
    for (const plugin of this.list.plugins)
      await this.lookup(plugin.type).check(this.#input(plugin, call, prevResult), call);
  }

  async status(): Promise<void> {
    if (!this.#atLeast11()) return;
    for (const plugin of this.list.plugins) await this.lookup(plugin.type).status(this.#input(plugin));
  }

  async gc(valid: readonly ValidAttachment[]): Promise<void> {
    if (this.list.disableGC || !this.#atLeast11()) return;
    const failures: unknown[] = [];
    for (const plugin of this.list.plugins)
      await this.lookup(plugin.type)
        .gc(this.#input(plugin), valid)
        .catch((error: unknown) => failures.push(error));
    if (failures.length > 0) throw failures[0];
  }

  /** Rejects with code 1 when a plugin does not speak the list's version. */
  async version(): Promise<void> {
    for (const plugin of this.list.plugins) {
      const versions = await this.lookup(plugin.type).version();
      if (!versions.includes(this.list.cniVersion))
        throw new CniError(
          1,
          `plugin "${plugin.type}" does not speak CNI ${this.list.cniVersion}`,
          `it speaks ${versions.join(', ')}`,
        );
    }
  }

  /** STATUS and GC came with 1.1. */
  #atLeast11(): boolean {
    return this.list.cniVersion === '1.1.0';
  }

  #input(plugin: PluginConfig, call?: Invocation, prevResult?: CniResult): PluginInput {
    const { capabilities, ...config } = plugin;
    const offered = Object.entries(call?.runtimeConfig ?? {}).filter(
      ([capability, value]) => capabilities?.[capability] === true && value !== undefined,
    );
    return {
      ...config,
      type: plugin.type,
      name: this.list.name,
      cniVersion: this.list.cniVersion,
      ...(offered.length > 0 ? { runtimeConfig: Object.fromEntries(offered) } : {}),
      ...(prevResult ? { prevResult: { ...prevResult, cniVersion: this.list.cniVersion } } : {}),
    };
  }
}
