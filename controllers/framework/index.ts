export { type ChangeOptions, change, changeStatus, changeTo } from './change.js';
export { type Condition, conditionOf, isTrue, withCondition } from './conditions.js';
export {
  type ControllerDefinition,
  controller,
  type IndexDefinition,
  index,
  type LiveReader,
  type Observed,
  type WatchDefinition,
  watch,
} from './controller.js';
export { type Decide, type DecisionResult, decideOf } from './decide.js';
export * from './effects.js';
export { EventRecorder } from './events.js';
export { Executor, type ExecutorOptions, type Outcome } from './executor.js';
export { MachineEvaluator, type MachineStep } from './machine.js';
export type { ControllerMetrics } from './metrics.js';
export { generateName } from './names.js';
export { controllerOf, controllerReference, isControlledBy, isDeleting, refersTo } from './owners.js';
export { type Backoff, WorkQueue } from './queue.js';
export { ControllerRunner, type RunnerOptions, type Running, runControllers } from './runner.js';
export { type Call, MemoryClient } from './testing/memory-client.js';
export { runInMemory, type TestRun } from './testing/run.js';
export type { Failure, Reader, View } from './view.js';
