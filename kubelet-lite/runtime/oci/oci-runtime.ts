import * as fs from 'node:fs/promises';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import type { ProcessStreams } from '@trimtab/client';
import { type Clock, sleep } from '@trimtab/machinery';
import { filter, type Observable } from 'rxjs';
import type { NativeRuntime } from '../native/index.js';
import type { OciSpec } from '../oci.js';
import {
  type ContainerConfig,
  type ContainerStatus,
  type ExecConfig,
  type ExecResult,
  type ExecSyncConfig,
  HANDLER_ANNOTATION,
  type PodRuntime,
  RuntimeError,
  type RuntimeEvent,
  type SandboxConfig,
  type SandboxStats,
  type SandboxStatus,
} from '../runtime.js';
import { type Bundle, beside, bundleAt, bundleSpec, wrapper } from './bundle.js';
import { callOf, type OciHandler } from './handler.js';

export interface OciRuntimeOptions {
  readonly handler: OciHandler;
  /** Holds pods, their networks, groups and logs; the OCI runtime only makes containers in them. */
  readonly base: NativeRuntime;
  /** The OCI runtime's own records; on a tmpfs, as they are of no use after a reboot. */
  readonly stateDir: string;
  readonly clock: Clock;
}

const STEP_MS = 5;
const START_TIMEOUT_MS = 30_000;
const CALL_TIMEOUT_MS = 10_000;

/**
 * Pods whose containers are made by another OCI runtime's command line. Each container is the foreground process of a `run`
 * in a process of the pod, so that logs, exits, terminals, limits and adoption are those of the native core.
 */
export class OciRuntime implements PodRuntime {
  readonly #handler: OciHandler;
  readonly #base: NativeRuntime;
  readonly #stateDir: string;
  readonly #clock: Clock;
  /** Of containers, by id. */
  readonly #bundles = new Map<string, Bundle>();
  readonly events: Observable<RuntimeEvent>;
  readonly #sandboxes = new Set<string>();
  #execs = 0;

  constructor({ handler, base, stateDir, clock }: OciRuntimeOptions) {
    this.#handler = handler;
    this.#base = base;
    this.#stateDir = join(stateDir, handler.name);
    this.#clock = clock;
    this.events = base.events.pipe(filter(({ sandboxId }) => this.#sandboxes.has(sandboxId)));
  }

  async list(): Promise<readonly SandboxStatus[]> {
    const all = await this.#base.list();
    const ours = all.filter(({ annotations }) => annotations[HANDLER_ANNOTATION] === this.#handler.name);
    return Promise.all(ours.map((sandbox) => this.adopt(sandbox)));
  }

  /** A sandbox that an earlier kubelet started, with its containers' own processes in place of the runtime's. */
  async adopt(sandbox: SandboxStatus): Promise<SandboxStatus> {
    this.#sandboxes.add(sandbox.id);
    const containers = sandbox.containers.map(async (c) => {
      const directory = c.annotations[BUNDLE_ANNOTATION];
      if (!directory) return c;
      const bundle = bundleAt(directory);
      this.#bundles.set(c.id, bundle);
      return c.state === 'running' ? { ...c, pid: (await pidIn(bundle)) ?? c.pid } : c;
    });
    return { ...sandbox, containers: await Promise.all(containers) };
  }

  async runSandbox(config: SandboxConfig): Promise<SandboxStatus> {
    const refuse = (what: string): never => {
      throw new RuntimeError(
        'sandbox',
        'EOPNOTSUPP',
        what,
        `runtime handler "${this.#handler.name}" offers no ${what}`,
      );
    };
    if (config.sharePid) refuse('shareProcessNamespace');
    if (config.userNamespace) refuse('user namespaces (hostUsers: false)');
    this.#sandboxes.add(config.id);
    const annotations = { ...config.annotations, [HANDLER_ANNOTATION]: this.#handler.name };
    // The runtime is to see the node's processes; its containers get a namespace of their own from it.
    return this.#base.runSandbox({ ...config, hostPid: true, annotations });
  }

  async removeSandbox(sandboxId: string): Promise<void> {
    for (const id of this.#bundles.keys()) if (id.startsWith(`${sandboxId}-`)) await this.#forget(id);
    await this.#base.removeSandbox(sandboxId);
    this.#sandboxes.delete(sandboxId);
  }

  async startContainer(sandboxId: string, config: ContainerConfig): Promise<ContainerStatus> {
    const bundle = bundleAt(join(config.directory, 'bundle'));
    if (!this.#bundles.has(config.id)) await this.#prepare(config, bundle);
    this.#bundles.set(config.id, bundle);
    const annotations = { ...config.annotations, [BUNDLE_ANNOTATION]: bundle.directory };
    const wrapped = wrapper({ ...config, annotations }, bundle, this.#handler, this.#stateDir);
    const status = await this.#base.startContainer(sandboxId, wrapped);
    return this.#whenStarted(sandboxId, status, bundle, config.spec.process.args[0] ?? '');
  }

  async #prepare(config: ContainerConfig, bundle: Bundle): Promise<void> {
    const odd = config.layers.find((layer) => /[,:\\]/.test(layer));
    if (odd)
      throw new RuntimeError(
        'rootfs',
        'EINVAL',
        odd,
        `layer directory "${odd}" has a character overlayfs gives a meaning`,
      );
    for (const directory of [bundle.rootfs, bundle.upper, bundle.work, bundle.mounts, this.#stateDir])
      await fs.mkdir(directory, { recursive: true, mode: 0o755 });
    const { process, linux } = config.spec;
    const standard = (linux.seccomp as { readonly profile?: string } | undefined)?.profile === 'runtime/default';
    const names = process.capabilities?.bounding.map((name) => name.replace(/^CAP_/, '')) ?? [];
    const seccomp = standard
      ? (await this.#base.core.request<{ profile: object }>('seccomp.default', { capabilities: names })).profile
      : linux.seccomp;
    await fs.writeFile(bundle.config, JSON.stringify(bundleSpec(config.spec, bundle, this.#handler, seccomp)));
  }

  /** Waits until the container's own process runs, or the runtime has ended, with its reason where it had one. */
  async #whenStarted(
    sandboxId: string,
    status: ContainerStatus,
    bundle: Bundle,
    program: string,
  ): Promise<ContainerStatus> {
    const deadline = this.#clock.now() + START_TIMEOUT_MS;
    for (;;) {
      const now = status.state === 'exited' ? status : await this.#statusOf(sandboxId, status.id);
      if (!now || now.state === 'exited') {
        const said = await lastError(bundle.log);
        if (said === undefined) return now ?? status;
        await this.removeContainer(status.id);
        const missing = /not found|no such file/i.test(said);
        throw new RuntimeError('exec', missing ? 'ENOENT' : 'EINVAL', program, `${this.#handler.name}: ${said}`);
      }
      const { exitCode, stdout } = await this.#call(['state', status.id]);
      const state = exitCode === 0 ? (JSON.parse(stdout) as { status: string; pid: number }) : undefined;
      if (state?.status === 'running') return { ...now, pid: state.pid };
      if (this.#clock.now() > deadline) {
        await this.removeContainer(status.id);
        throw new RuntimeError('exec', 'ETIMEDOUT', program);
      }
      await sleep(this.#clock, STEP_MS);
    }
  }

  async #statusOf(sandboxId: string, containerId: string): Promise<ContainerStatus | undefined> {
    const sandbox = (await this.#base.list()).find(({ id }) => id === sandboxId);
    return sandbox?.containers.find(({ id }) => id === containerId);
  }

  /** The runtime hands signals on to its container, but for the one that nobody can catch. */
  async signal(containerId: string, signal: string): Promise<void> {
    if (!/^(SIG)?KILL$|^9$/.test(signal)) return this.#base.signal(containerId, signal);
    const { exitCode } = await this.#call(['kill', containerId, 'KILL']);
    if (exitCode !== 0) await this.#base.signal(containerId, signal);
  }

  async removeContainer(containerId: string): Promise<void> {
    await this.#forget(containerId);
    await this.#base.removeContainer(containerId);
  }

  /** Has the runtime kill and forget the container, which it may have done already. */
  async #forget(containerId: string): Promise<void> {
    await this.#call(['delete', '--force', containerId]);
    const bundle = this.#bundles.get(containerId);
    this.#bundles.delete(containerId);
    if (bundle) await fs.rm(bundle.directory, { recursive: true, force: true });
  }

  updateSandbox(sandboxId: string, resources: object): Promise<void> {
    return this.#base.updateSandbox(sandboxId, resources);
  }

  updateContainer(containerId: string, resources: object): Promise<void> {
    return this.#base.updateContainer(containerId, resources);
  }

  async exec(containerId: string, config: ExecConfig): Promise<ProcessStreams> {
    const asked = await this.#execFile(containerId, config.command, config.tty);
    try {
      const streams = await this.#base.exec(containerId, { ...config, command: asked.command });
      void streams.exit.then(asked.forget, asked.forget);
      return streams;
    } catch (error) {
      await asked.forget();
      throw error;
    }
  }

  async execSync(containerId: string, config: ExecSyncConfig): Promise<ExecResult> {
    const asked = await this.#execFile(containerId, config.command, false);
    const exec = this.#base.execSync(containerId, { ...config, command: asked.command });
    const result = await exec.finally(asked.forget);
    // The runtime has no other way to say that the command is not there.
    if (result.exitCode !== 0 && /executable file .* not found|exec failed.*no such file/is.test(result.stderr))
      throw new RuntimeError('exec', 'ENOENT', config.command[0] ?? '');
    return result;
  }

  /** A command as a whole process: told only its words, runtimes start it with more privileges than its container has. */
  async #execFile(containerId: string, args: readonly string[], terminal: boolean) {
    const bundle = this.#bundles.get(containerId);
    if (!bundle) throw new RuntimeError('container', 'ENOENT', containerId);
    const { process } = JSON.parse(await fs.readFile(bundle.config, 'utf8')) as OciSpec;
    const file = join(bundle.directory, `exec-${this.#execs++}.json`);
    await fs.writeFile(file, JSON.stringify({ ...process, args, terminal }));
    const command = beside([...callOf(this.#handler, this.#stateDir), 'exec', '--process', file, containerId]);
    return { command, forget: () => fs.rm(file, { force: true }) };
  }

  attach(containerId: string): Promise<ProcessStreams> {
    return this.#base.attach(containerId);
  }

  reopenLog(containerId: string): Promise<void> {
    return this.#base.reopenLog(containerId);
  }

  dial(sandboxId: string, host: string, port: number): Promise<Duplex> {
    return this.#base.dial(sandboxId, host, port);
  }

  stats(sandboxId: string): Promise<SandboxStats> {
    return this.#base.stats(sandboxId);
  }

  #call(words: readonly string[]): Promise<ExecResult> {
    return this.#base.core.request<ExecResult>('process.run', {
      args: [...callOf(this.#handler, this.#stateDir), ...words],
      env: ['PATH=/usr/sbin:/usr/bin:/sbin:/bin'],
      stdin: '',
      timeoutMs: CALL_TIMEOUT_MS,
      maxOutput: 1 << 16,
    });
  }
}

/** Where a container's bundle is, for adopters. */
const BUNDLE_ANNOTATION = 'io.trimtab.container.bundle';

async function pidIn(bundle: Bundle): Promise<number | undefined> {
  const text = await fs.readFile(bundle.pidFile, 'utf8').catch(() => '');
  return Number(text) || undefined;
}

/** The last error in a runtime's log, which is text with crun and key=value with runc. */
async function lastError(path: string): Promise<string | undefined> {
  const text = (await fs.readFile(path, 'utf8').catch(() => '')).trim();
  const lines = text.split('\n').filter((line) => line !== '' && !/level=(debug|info|warning)/.test(line));
  const last = lines.at(-1);
  const quoted = last && /msg="((?:[^"\\]|\\.)*)"/.exec(last);
  return quoted ? (JSON.parse(`"${quoted[1]}"`) as string) : last;
}
