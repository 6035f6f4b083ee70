export { type Exploration, type ExploreOptions, explore } from './explore.js';
export {
  type FromSchemaOptions,
  fromSchema,
  perform,
  type SchemaArbitraries,
  type SchemaOperation,
  type ValueSchema,
} from './from-schema.js';
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
export { matchers } from './matchers.js';
export { type PerturbReport, perturb, replay } from './perturb/perturb.js';
export {
  EVENT_FAULTS,
  type Fault,
  type FaultKind,
  type Plan,
  parseReplay,
  planText,
  RUN_FAULTS,
  replayLine,
  WRITE_FAULTS,
} from './perturb/plan.js';
export type { Divergence } from './perturb/report.js';
export type { Finding } from './perturb/run.js';
export { ORACLES, type Oracle, type PerturbOptions, type Scenario, type WorldDescription } from './perturb/scenario.js';
export { expectStable, type StableOptions } from './stable.js';
export { type Duration, milliseconds } from './world/duration.js';
export { type ControllerSource, type Loop, type Parts, Process } from './world/process.js';
export { type Cause, Trace, type TraceEntry, traceLine, type WriteEntry } from './world/trace.js';
export { type SettleOptions, type World, type WorldOptions, type WorldPart, world } from './world/world.js';
