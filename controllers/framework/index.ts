export {
  type Admission,
  type AdmissionContext,
  type AdmissionQuestion,
  type AdmissionVerdict,
  admission,
  admit,
} from './admission.js';
export { isApplied } from './applied.js';
export { type ChangeOptions, change, changeStatus, changeTo } from './change.js';
export { type ClusteredType, clustersClient, inCluster } from './clusters.js';
export type { AdaptiveConcurrency } from './concurrency.js';
export { type Condition, conditionOf, isTrue, withCondition } from './conditions.js';
export * from './controller.js';
export {
  type ConversionReview,
  type Convertible,
  conversionFaults,
  conversionReview,
  converted,
  type OtherVersion,
  otherVersion,
} from './conversion.js';
export { countedClient } from './counted-client.js';
export { MOST_UNSCOPED } from './crowded-caches.js';
export {
  type CustomKind,
  type CustomObject,
  customKind,
  type KindDeclaration,
  type ObjectOf,
  type PrinterColumn,
} from './custom-kind.js';
export { type Decide, type DecisionResult, decideOf } from './decide.js';
export { type Dependent, type DependentsResult, dependent, dependents, dependentsMachine } from './dependents.js';
export * from './effects.js';
export { EventRecorder } from './events.js';
export { Executor, type ExecutorOptions, type Outcome } from './executor.js';
export { finalizerOf } from './finalizer.js';
export { DroppedField } from './guarded.js';
export type { HandlerContext, Handlers } from './handlers.js';
export { FRESH_WITHIN_MS, type Health, healthOf } from './health.js';
export { LeaderElection, type LeaderElectionOptions } from './leader-election.js';
export { LEASE_TIMES, type LeaseTimes } from './lease.js';
export { MachineEvaluator, type MachineStep } from './machine.js';
export { machineDiagram } from './machine-diagram.js';
export type { ControllerMetrics, ReconcileResult } from './metrics.js';
export { generateName } from './names.js';
export {
  type OperatorDefinition,
  type OperatorOptions,
  operator,
  type RunningOperator,
  runOperator,
} from './operator.js';
export { owned, setCondition } from './owned.js';
export { controllerOf, controllerReference, isControlledBy, isDeleting, refersTo } from './owners.js';
export { clusterRole, neededFor, permissionRecorder, permissionsOf, refusedBy, unusedOf } from './permissions.js';
export { type Planned, type PlannedWrite, type PlanOptions, plan, printPlan } from './plan.js';
export * from './predicates.js';
export { type Keep, type KeepOf, type Projected, projected } from './projection.js';
export { PrometheusMetrics } from './prometheus.js';
export { tagsOf } from './publish.js';
export { type Backoff, LONGEST_WAIT_MS, LOW_PRIORITY, WorkQueue } from './queue.js';
export { type Rate, RateLimiter } from './rate-limit.js';
export { RETRYING, type Retrying, retriesOf } from './retry-record.js';
export { type AdmissionReview, review } from './review.js';
export { type Running, runControllers } from './run-controllers.js';
export { ControllerRunner } from './runner.js';
export type { KeyShare, RunnerOptions, RunnerPhase } from './runner-options.js';
export * from './schema.js';
export { misfits, sample } from './schema-values.js';
export { ownerOf, Shards, type ShardsOptions } from './shards.js';
export { Chart, type ChartOptions } from './statechart/chart.js';
export { type Call, MemoryClient } from './testing/memory-client.js';
export { runInMemory, type TestRun } from './testing/run.js';
export { type Happening, pathsOf, sideBySide } from './testing/side-by-side.js';
export { type Cause, type ReconcileTrace, type TracedWrite, TraceLog, type Tracer } from './trace.js';
export type { Failure, Freshness, Reader, View } from './view.js';
export { convertedBy, type WebhookAddress, webhookConfigurations } from './webhook-configurations.js';
export { whereThrown } from './where-thrown.js';
