/** What a controller reports about itself; names follow controller-runtime, so that its dashboards fit. */
export interface ControllerMetrics {
  /** `controller_runtime_reconcile_total`, `_reconcile_time_seconds` */
  reconciled?(controller: string, result: 'success' | 'error' | 'requeue' | 'requeue_after', seconds: number): void;
  /** `workqueue_depth` */
  queueDepth?(controller: string, depth: number): void;
  /** `workqueue_retries_total` */
  retried?(controller: string): void;
  /** A write that reached the server. */
  wrote?(controller: string, verb: string, resource: string): void;
  /** An object's machine is in another state than before. */
  transitioned?(controller: string, key: string, from: string | undefined, to: string): void;
}
