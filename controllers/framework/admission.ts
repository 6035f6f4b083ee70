import type { KubeObject, ResourceType } from '@trimtab/machinery';
import fastJsonPatch from 'fast-json-patch';
import { type Draft, Immer } from 'immer';

const immer = new Immer({ autoFreeze: false });

/** Rules of a kind, beside its controller. Pure. */
export interface Admission<T extends KubeObject = KubeObject> {
  readonly for: ResourceType<T>;
  /** Default create and update. */
  readonly on?: readonly ('CREATE' | 'UPDATE' | 'DELETE')[];
  /** Fills in and sets right; must come to rest: what it made, it leaves. */
  readonly mutate?: (draft: Draft<T>, request: AdmissionContext<T>) => void;
  /** What is wrong, one line each. */
  readonly validate?: (object: T, request: AdmissionContext<T>) => readonly string[];
}

export interface AdmissionContext<T extends KubeObject> {
  readonly operation: 'CREATE' | 'UPDATE' | 'DELETE';
  /** Before an update or a deletion. */
  readonly old: T | undefined;
  readonly user: string;
  readonly dryRun: boolean;
}

export const admission = <T extends KubeObject>(definition: Admission<T>): Admission =>
  definition as unknown as Admission;

/** `admission.k8s.io/v1` AdmissionReview, as far as it is read. */
export interface AdmissionReview {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly request?: {
    readonly uid: string;
    readonly kind: { readonly group: string; readonly version: string; readonly kind: string };
    readonly operation: string;
    readonly object?: KubeObject | null;
    readonly oldObject?: KubeObject | null;
    readonly dryRun?: boolean;
    readonly userInfo?: { readonly username?: string };
  };
  readonly response?: AdmissionResponse;
}

export interface AdmissionResponse {
  readonly uid: string;
  readonly allowed: boolean;
  readonly patchType?: 'JSONPatch';
  /** Base64. */
  readonly patch?: string;
  readonly status?: { readonly code: number; readonly reason: string; readonly message: string };
}

/** Answers a review. What throws refuses: a rule that cannot be held against an object does not let it through. */
export function review(
  admissions: readonly Admission[],
  phase: 'mutate' | 'validate',
  asked: AdmissionReview,
): AdmissionReview {
  const { request } = asked;
  if (!request) throw new Error('an AdmissionReview without a request');
  const answer = (response: Omit<AdmissionResponse, 'uid'>): AdmissionReview => ({
    apiVersion: 'admission.k8s.io/v1',
    kind: 'AdmissionReview',
    response: { uid: request.uid, ...response },
  });
  const refuse = (message: string) => answer({ allowed: false, status: { code: 422, reason: 'Invalid', message } });
  const operation = request.operation as AdmissionContext<KubeObject>['operation'];
  const context: AdmissionContext<KubeObject> = {
    operation,
    old: request.oldObject ?? undefined,
    user: request.userInfo?.username ?? '',
    dryRun: request.dryRun ?? false,
  };
  const object = (operation === 'DELETE' ? request.oldObject : request.object) ?? undefined;
  const rules = admissions.filter(
    ({ for: type, on = ['CREATE', 'UPDATE'] }) =>
      type.kind === request.kind.kind && type.group === request.kind.group && on.includes(operation),
  );
  if (!object || rules.length === 0) return answer({ allowed: true });
  try {
    if (phase === 'validate') {
      const faults = rules.flatMap((rule) => rule.validate?.(object, context) ?? []);
      return faults.length === 0 ? answer({ allowed: true }) : refuse(faults.join('; '));
    }
    const wanted = rules.reduce(
      (at, { mutate }) => (mutate ? immer.produce(at, (draft) => void mutate(draft, context)) : at),
      object,
    );
    const patch = fastJsonPatch.compare(object, wanted);
    if (patch.length === 0) return answer({ allowed: true });
    return answer({
      allowed: true,
      patchType: 'JSONPatch',
      patch: Buffer.from(JSON.stringify(patch)).toString('base64'),
    });
  } catch (error) {
    return refuse(error instanceof Error ? error.message : String(error));
  }
}

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
        clientConfig: {
          caBundle: Buffer.from(caBundle).toString('base64'),
          ...('url' in address
            ? { url: `${address.url}/${phase}` }
            : { service: { ...address.service, path: `/${phase}` } }),
        },
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
