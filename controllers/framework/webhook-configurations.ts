import type { CustomResourceDefinition, KubeObject } from '@trimtab/machinery';
import type { Admission } from './admission.js';

/** Where a server finds the webhooks: a Service of the cluster, or an address of its own. */
export type WebhookAddress =
  | { readonly service: { readonly namespace: string; readonly name: string; readonly port?: number } }
  | { readonly url: string };

/** The configurations that make a server ask; one webhook a kind and phase, refusing while nobody answers. */
export function webhookConfigurations(
  name: string,
  admissions: readonly Admission[],
  address: WebhookAddress,
  caBundle: string,
): readonly KubeObject[] {
  const of = (phase: 'mutate' | 'validate', kind: string) => {
    const webhooks = admissions
      .filter((each) => each[phase])
      .map(({ for: type, on = ['CREATE', 'UPDATE'] }) => ({
        name: `${type.resource}.${phase}.${name}.trimtab.dev`,
        admissionReviewVersions: ['v1'],
        sideEffects: 'None',
        failurePolicy: 'Fail',
        clientConfig: clientConfig(address, phase, caBundle),
        rules: [
          { apiGroups: [type.group], apiVersions: [type.version], resources: [type.resource], operations: [...on] },
        ],
      }));
    return webhooks.length === 0
      ? []
      : [{ apiVersion: 'admissionregistration.k8s.io/v1', kind, metadata: { name }, webhooks } as KubeObject];
  };
  return [...of('mutate', 'MutatingWebhookConfiguration'), ...of('validate', 'ValidatingWebhookConfiguration')];
}

/** The definition of a kind with several versions, so that a server has them converted at this address. */
export function convertedBy(
  definition: CustomResourceDefinition,
  address: WebhookAddress,
  caBundle: string,
): CustomResourceDefinition {
  const webhook = { conversionReviewVersions: ['v1'], clientConfig: clientConfig(address, 'convert', caBundle) };
  return { ...definition, spec: { ...definition.spec, conversion: { strategy: 'Webhook', webhook } } };
}

const clientConfig = (address: WebhookAddress, path: string, caBundle: string) => ({
  caBundle: Buffer.from(caBundle).toString('base64'),
  ...('url' in address ? { url: `${address.url}/${path}` } : { service: { ...address.service, path: `/${path}` } }),
});
