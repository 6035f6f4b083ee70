import { figures } from './figures.js';
import type { Tally } from './tally.js';

/** The code of a webhook that gave no verdict, as Kubernetes counts it. */
export const unasked = 600;

export interface WebhookCall {
  readonly name: string;
  readonly operation: string;
  readonly type: 'admit' | 'validating';
  readonly seconds: number;
  readonly rejected: boolean;
  /** Of the verdict, or {@link unasked}. */
  readonly code: number;
  /** Whether requests go on where it cannot be asked. */
  readonly ignored: boolean;
}

/** Writes down one call of an admission webhook (apiserver: admission/metrics). */
export function tellWebhook(tally: Tally, call: WebhookCall): void {
  const { name, operation, type, seconds, code, ignored } = call;
  const rejected = String(call.rejected);
  tally.observe(figures.webhookSeconds, [name, operation, rejected, type], seconds);
  tally.count(figures.webhookRequests, [name, operation, type, String(code), rejected]);
  if (call.rejected) {
    const [fault, rejection] = code === unasked ? ['calling_webhook_error', '0'] : ['no_error', String(code)];
    tally.count(figures.webhookRejections, [name, operation, type, fault!, rejection!]);
  } else if (code === unasked && ignored) tally.count(figures.webhookFailOpen, [name, type]);
}
