import { forbidden, StatusError } from '@trimtab/machinery';
import type { AccessAttributes, Decision } from '../contracts.js';

/** `User "u" cannot list resource "pods/log" in API group "" in the namespace "n"`, or `… cannot get path "/x"`. */
export function describeAttempt({ user, verb, resource, path }: AccessAttributes): string {
  const who = `User ${JSON.stringify(user.name)} cannot ${verb}`;
  if (!resource) return `${who} path ${JSON.stringify(path ?? '')}`;
  const what = resource.subresource ? `${resource.resource}/${resource.subresource}` : resource.resource;
  const where = resource.namespace ? `in the namespace ${JSON.stringify(resource.namespace)}` : 'at the cluster scope';
  return `${who} resource "${what}" in API group "${resource.group}" ${where}`;
}

/** The 403 that Kubernetes answers, followed by the authorizer's reason. */
export function refusal(attributes: AccessAttributes, decision: Decision): StatusError {
  const text = describeAttempt(attributes) + (decision.reason ? `: ${decision.reason}` : '');
  const { resource } = attributes;
  if (!resource) return new StatusError({ code: 403, reason: 'Forbidden', message: `forbidden: ${text}`, details: {} });
  return forbidden({ group: resource.group, resource: resource.resource }, resource.name, text);
}
