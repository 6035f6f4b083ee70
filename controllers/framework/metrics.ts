/**
 * What a controller reports about itself; names follow controller-runtime, so that its dashboards fit. `PrometheusMetrics`
 * keeps them all; whoever wants less implements less.
 */
export interface ControllerMetrics {
  /** `controller_runtime_reconcile_total`, `_reconcile_time_seconds`, `_reconcile_errors_total` */
  reconciled?(controller: string, result: ReconcileResult, seconds: number): void;
  /** `controller_runtime_terminal_reconcile_errors_total` and its kin. */
  failed?(controller: string, how: 'terminal' | 'panic' | 'timeout'): void;
  /** `controller_runtime_active_workers`, `_max_concurrent_reconciles` */
  workers?(controller: string, active: number, most: number): void;
  /** `workqueue_depth` */
  queueDepth?(controller: string, depth: number): void;
  /** `workqueue_adds_total` */
  queued?(controller: string): void;
  /** `workqueue_queue_duration_seconds` */
  waited?(controller: string, seconds: number): void;
  /** `workqueue_work_duration_seconds` */
  worked?(controller: string, seconds: number): void;
  /** `workqueue_retries_total` */
  retried?(controller: string): void;
  /** Right before a write is asked for on account of an object; the request follows in the same turn. */
  asking?(controller: string, key: string): void;
  /** A write that reached the server. */
  wrote?(controller: string, verb: string, resource: string): void;
  /** From the first event until a look found nothing left to write. */
  converged?(controller: string, seconds: number): void;
  /** An object's machine is in another state than before. */
  transitioned?(controller: string, key: string, from: string | undefined, to: string): void;
}

export type ReconcileResult = 'success' | 'error' | 'requeue' | 'requeue_after';
