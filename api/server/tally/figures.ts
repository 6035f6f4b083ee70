import type { Figure } from './tally.js';

/** What is told under the names Kubernetes' API server has for it (apiserver: metrics of each package). */

const exponential = (start: number, factor: number, count: number): readonly number[] =>
  Array.from({ length: count }, (_, i) => start * factor ** i);

const answering = exponential(0.001, 2, 15);
const requestLabels = ['verb', 'group', 'version', 'resource', 'subresource', 'scope', 'component'];
const requesting = [
  0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1, 1.25, 1.5, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 45, 60,
];
const admitting = [0.005, 0.025, 0.1, 0.5, 1, 2.5];
const day = 86_400;

export const figures = {
  requests: {
    name: 'apiserver_request_total',
    help: 'Requests answered, by verb, resource and response code.',
    labels: [...requestLabels, 'dry_run', 'code'],
  },
  requestSeconds: {
    name: 'apiserver_request_duration_seconds',
    help: 'Time from a request’s arrival to the end of its answer, watches and streams left out.',
    labels: [...requestLabels, 'dry_run'],
    buckets: requesting,
  },
  requestOwnSeconds: {
    name: 'apiserver_request_sli_duration_seconds',
    help: 'The same without the time spent waiting for a turn and for webhooks.',
    labels: requestLabels,
    buckets: requesting,
  },
  responseSizes: {
    name: 'apiserver_response_sizes',
    help: 'Bytes of the bodies that answer gets and lists, as they are sent.',
    labels: requestLabels,
    buckets: exponential(1000, 10, 7),
  },
  authentications: {
    name: 'authentication_attempts',
    help: 'Requests that said who they are, by outcome.',
    labels: ['result'],
  },
  authenticationSeconds: {
    name: 'authentication_duration_seconds',
    help: 'Time it took to know who asks.',
    labels: ['result'],
    buckets: answering,
  },
  users: {
    name: 'authenticated_user_requests',
    help: 'Requests by kind of user.',
    labels: ['username'],
  },
  certificateLifetimes: {
    name: 'apiserver_client_certificate_expiration_seconds',
    help: 'How long the client certificates of requests are still good for.',
    labels: [],
    buckets: [0, 1800, 3600, 7200, 21_600, 43_200, ...[1, 2, 4, 7, 30, 90, 180, 360].map((days) => days * day)],
  },
  authorizations: {
    name: 'authorization_attempts_total',
    help: 'Whether requests may do what they ask for.',
    labels: ['result'],
  },
  authorizationSeconds: {
    name: 'authorization_duration_seconds',
    help: 'Time it took to know whether a request may.',
    labels: ['result'],
    buckets: answering,
  },
  admissionControllers: {
    name: 'apiserver_admission_controller_admission_duration_seconds',
    help: 'Time in one admission plugin.',
    labels: ['name', 'operation', 'rejected', 'type'],
    buckets: admitting,
  },
  admissionSteps: {
    name: 'apiserver_admission_step_admission_duration_seconds',
    help: 'Time in all plugins that mutate, or all that validate.',
    labels: ['operation', 'rejected', 'type'],
    buckets: admitting,
  },
  webhookSeconds: {
    name: 'apiserver_admission_webhook_admission_duration_seconds',
    help: 'Time one admission webhook took.',
    labels: ['name', 'operation', 'rejected', 'type'],
    buckets: [...admitting, 10, 25],
  },
  webhookRequests: {
    name: 'apiserver_admission_webhook_request_total',
    help: 'Requests to admission webhooks, by the code of their verdict; 600 where there was none.',
    labels: ['name', 'operation', 'type', 'code', 'rejected'],
  },
  webhookRejections: {
    name: 'apiserver_admission_webhook_rejection_count',
    help: 'Requests refused on account of a webhook, by whose fault.',
    labels: ['name', 'operation', 'type', 'error_type', 'rejection_code'],
  },
  webhookFailOpen: {
    name: 'apiserver_admission_webhook_fail_open_count',
    help: 'Webhooks passed over because they could not be asked.',
    labels: ['name', 'type'],
  },
  auditEvents: { name: 'apiserver_audit_event_total', help: 'Events written to the audit log.', labels: [] },
  auditLevels: {
    name: 'apiserver_audit_level_total',
    help: 'Events written to the audit log, by how much they tell.',
    labels: ['level'],
  },
  deprecated: {
    name: 'apiserver_requested_deprecated_apis',
    help: 'Deprecated APIs that were asked for.',
    labels: ['group', 'version', 'resource', 'subresource', 'removed_release'],
  },
  aborts: {
    name: 'apiserver_request_aborts_total',
    help: 'Requests whose clients left before the answer.',
    labels: ['verb', 'group', 'version', 'resource', 'subresource', 'scope'],
  },
  terminations: {
    name: 'apiserver_request_terminations_total',
    help: 'Requests given up by the server to protect itself.',
    labels: ['verb', 'group', 'version', 'resource', 'subresource', 'scope', 'component', 'code'],
  },
  handshakeErrors: {
    name: 'apiserver_tls_handshake_errors_total',
    help: 'TLS handshakes that failed.',
    labels: [],
  },
  dispatched: {
    name: 'apiserver_flowcontrol_dispatched_requests_total',
    help: 'Requests that were given a seat.',
    labels: ['priority_level', 'flow_schema'],
  },
  rejected: {
    name: 'apiserver_flowcontrol_rejected_requests_total',
    help: 'Requests that were not given one, and why.',
    labels: ['priority_level', 'flow_schema', 'reason'],
  },
  waited: {
    name: 'apiserver_flowcontrol_request_wait_duration_seconds',
    help: 'How long requests waited for a seat.',
    labels: ['priority_level', 'flow_schema', 'execute'],
    buckets: [0, 0.005, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30],
  },
} as const satisfies Readonly<Record<string, Figure>>;

/** `authenticated_user_requests` knows few names: others are many, and some are people's. */
export function userLabel(name: string): string {
  if (['admin', 'client', 'kube_proxy', 'kubelet', 'system:serviceaccount:kube-system:default'].includes(name))
    return name;
  return name.includes('@') ? 'email_id' : 'other';
}
