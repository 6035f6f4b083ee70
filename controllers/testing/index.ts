export { ScriptedKubelet } from './kubelet/kubelet.js';
export {
  crash,
  hang,
  type KubeletScript,
  type PodScript,
  running,
  type ScriptFor,
  succeed,
} from './kubelet/script.js';
export { type Duration, milliseconds } from './world/duration.js';
export { type ControllerSource, type Parts, Process } from './world/process.js';
export { type Cause, Trace, type TraceEntry, traceLine, type WriteEntry } from './world/trace.js';
export { type SettleOptions, type World, type WorldOptions, type WorldPart, world } from './world/world.js';
