import type {
  Container,
  ContainerState,
  ContainerUser,
  ContainerStateTerminated as TerminatedState,
} from '@trimtab/machinery';
import type { RestartPolicy } from '../pod/api.js';
import type { BackOff, BackOffDelay, ContainerKind } from './restart.js';

/** What a container's statechart asks of the shell. Every `start` is one attempt; attempts are never repeated. */
export type ContainerEffect =
  | { readonly type: 'pull' }
  | { readonly type: 'start'; readonly attempt: number }
  | { readonly type: 'postStart' }
  | { readonly type: 'preStop'; readonly budgetMs: number }
  | { readonly type: 'terminate' }
  | { readonly type: 'kill' }
  | { readonly type: 'backedOff'; readonly what: 'restart' | 'pull' };

/** A container as found at start or reported by the runtime. Times are milliseconds since the epoch. */
export interface StartedContainer {
  readonly id: string;
  readonly attempt: number;
  readonly startedAt: number;
  /** In the node's PID namespace; 0 where nothing really runs. */
  readonly pid?: number;
  readonly user?: ContainerUser;
  /** What it gets when it is to end. */
  readonly stopSignal?: string;
}

export interface StopRequest {
  readonly graceMs: number;
  /** True when the pod ends: whatever happens, the container is not started again. */
  readonly final: boolean;
  /** Sidecars run preStop at once but get their signal only on `release` or at the deadline. */
  readonly hold?: boolean;
}

/** Every event carries the clock's `at`, so the machine itself reads no clock. */
export type ContainerEvent = { readonly at: number } & (
  | { readonly type: 'start' }
  | { readonly type: 'image.ready'; readonly image: string; readonly imageID: string }
  | { readonly type: 'image.failed'; readonly reason: string; readonly message: string }
  | { readonly type: 'started'; readonly container: StartedContainer }
  | { readonly type: 'config.failed'; readonly reason: string; readonly message: string }
  | { readonly type: 'start.failed'; readonly message: string; readonly id: string }
  | { readonly type: 'retry' }
  | { readonly type: 'hook.done' }
  /** `graceMs`: how long the container has to end for it. */
  | { readonly type: 'hook.failed'; readonly message: string; readonly graceMs: number }
  | { readonly type: 'exited'; readonly id: string; readonly terminated: TerminatedState; readonly ranMs: number }
  | { readonly type: 'startup.passed' }
  | { readonly type: 'readiness'; readonly ready: boolean }
  | ({ readonly type: 'stop' } & StopRequest)
  | { readonly type: 'release' }
  | { readonly type: 'redefined'; readonly container: Container }
  | { readonly type: 'reset' }
);

export interface ContainerInput {
  readonly container: Container;
  readonly kind: ContainerKind;
  readonly podPolicy: RestartPolicy;
  readonly podName: string;
  readonly waitingReason: string;
  readonly restartBackOff: BackOff;
  readonly pullBackOff: BackOff;
  /** What an earlier life of the kubelet left: nothing, a running container, or one that has ended. */
  readonly found?: {
    readonly attempt: number;
    readonly image: string;
    readonly imageID: string;
    readonly running?: StartedContainer;
    readonly terminated?: TerminatedState;
    readonly ranMs?: number;
    readonly last?: TerminatedState;
    readonly started: boolean;
    readonly ready: boolean;
  };
}

export interface ContainerContext extends Pick<ContainerInput, 'container' | 'kind'> {
  readonly input: ContainerInput;
  /** Attempt of the newest container, -1 before the first: the restart count is never below zero. */
  readonly attempt: number;
  readonly state: ContainerState;
  readonly last?: TerminatedState;
  readonly image: string;
  readonly imageID: string;
  readonly containerID?: string;
  readonly running?: StartedContainer;
  readonly started: boolean;
  readonly ready: boolean;
  readonly exitCode?: number;
  readonly ranMs: number;
  readonly delay: BackOffDelay;
  /** Its definition has changed: it is started again whatever its policy. */
  readonly redefined: boolean;
  readonly pullDelay: BackOffDelay;
  readonly stop?: { readonly deadline: number; readonly final: boolean; readonly hold: boolean };
  readonly now: number;
}
