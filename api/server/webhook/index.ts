export { failedCallingWebhook, WebhookCallError } from './call-errors.js';
export {
  type ClosableWebhookCaller,
  httpsWebhookCaller,
  type WebhookCaller,
  type WebhookCallerOptions,
} from './caller.js';
export { validateClientConfig, type WebhookClientConfig } from './client-config.js';
export { endpointResolver, type ServiceResolver } from './service-resolver.js';
