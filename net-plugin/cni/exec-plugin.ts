import type { NetworkKernel, ProcessRunResult } from '../kernel.js';
import {
  CniError,
  type CniResult,
  type Invocation,
  type Plugin,
  type PluginInput,
  type ValidAttachment,
} from './types.js';

const TIMEOUT_MS = 60_000;
const MAX_OUTPUT = 1024 * 1024;

/** A plugin that is a program, run by the native core: parameters in the environment, configuration on stdin (section 2). */
export class ExecPlugin implements Plugin {
  constructor(
    readonly kernel: NetworkKernel,
    readonly type: string,
    /** Directories searched for plugins, first hit wins. */
    readonly path: readonly string[],
  ) {}

  async add(config: PluginInput, call: Invocation): Promise<CniResult> {
    const output = await this.#run('ADD', config, call);
    return this.#parse(output) as CniResult;
  }

  async del(config: PluginInput, call: Invocation): Promise<void> {
    await this.#run('DEL', config, call);
  }

  async check(config: PluginInput, call: Invocation): Promise<void> {
    await this.#run('CHECK', config, call);
  }

  async status(config: PluginInput): Promise<void> {
    await this.#run('STATUS', config);
  }

  async gc(config: PluginInput, valid: readonly ValidAttachment[]): Promise<void> {
    await this.#run('GC', { ...config, 'cni.dev/valid-attachments': valid });
  }

  async version(): Promise<readonly string[]> {
    const output = await this.#run('VERSION', { cniVersion: '1.1.0', name: 'version', type: this.type });
    return (this.#parse(output) as { supportedVersions?: readonly string[] }).supportedVersions ?? [];
  }

  async #run(command: string, config: PluginInput, call?: Invocation): Promise<string> {
    const env = [
      `CNI_COMMAND=${command}`,
      `CNI_PATH=${this.path.join(':')}`,
      `PATH=${this.path.join(':')}:/usr/sbin:/usr/bin:/sbin:/bin`,
    ];
    if (call) {
      const args = Object.entries(call.args).map(([key, value]) => `${key}=${value}`);
      env.push(
        `CNI_CONTAINERID=${call.containerId}`,
        `CNI_NETNS=${call.netns}`,
        `CNI_IFNAME=${call.ifName}`,
        `CNI_ARGS=${args.join(';')}`,
      );
    }
    const params = { env, stdin: JSON.stringify(config), timeoutMs: TIMEOUT_MS, maxOutput: MAX_OUTPUT };
    let failure: unknown;
    for (const directory of this.path) {
      let result: ProcessRunResult;
      try {
        result = await this.kernel.request<ProcessRunResult>('process.run', {
          ...params,
          args: [`${directory}/${this.type}`],
        });
      } catch (error) {
        failure = error;
        if (String((error as Error).message).includes('ENOENT')) continue;
        break;
      }
      if (result.exitCode === 0) return result.stdout;
      throw this.#errorOf(command, result);
    }
    const where = this.path.join(', ') || 'an empty CNI path';
    throw new CniError(
      5,
      `CNI plugin "${this.type}" could not be run from ${where}`,
      failure instanceof Error ? failure.message : '',
    );
  }

  #errorOf(command: string, result: ProcessRunResult): CniError {
    try {
      const { code, msg, details } = JSON.parse(result.stdout) as { code?: number; msg?: string; details?: string };
      if (typeof code === 'number') return new CniError(code, `${this.type} ${command}: ${msg ?? ''}`, details);
    } catch {
      // Not an error object: what the program printed is all there is to say.
    }
    const said = (result.stderr || result.stdout).trim().slice(0, 500);
    return new CniError(100, `${this.type} ${command} failed with exit code ${result.exitCode}`, said);
  }

  #parse(output: string): unknown {
    try {
      return JSON.parse(output);
    } catch {
      throw new CniError(6, `${this.type} did not answer with JSON`, output.slice(0, 200));
    }
  }
}
