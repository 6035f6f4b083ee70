import type { Job, Pod, PodFailurePolicyRule } from '@trimtab/machinery';
import { parseIndexes } from './index-set.js';

/** `spec.podFailurePolicy` and `spec.successPolicy` (kubernetes: pkg/controller/job pod_failure_policy, success_policy). */

export interface FailureRuling {
  readonly action: 'FailJob' | 'FailIndex' | 'Ignore' | 'Count';
  readonly message: string;
}

/** What the first rule that matches a failed pod says; a pod that none matches counts. */
export function failureRuling(job: Job, pod: Pod): FailureRuling {
  for (const [i, rule] of (job.spec?.podFailurePolicy?.rules ?? []).entries()) {
    const match = matchOf(rule, pod);
    if (match === undefined) continue;
    const action = rule.action as FailureRuling['action'];
    return { action, message: `${match} matching ${action} rule at index ${i}` };
  }
  return { action: 'Count', message: '' };
}

function matchOf({ onExitCodes, onPodConditions }: PodFailurePolicyRule, pod: Pod): string | undefined {
  const name = `${pod.metadata.namespace}/${pod.metadata.name}`;
  if (onExitCodes) {
    const { containerName, operator, values } = onExitCodes;
    const statuses = [...(pod.status?.containerStatuses ?? []), ...(pod.status?.initContainerStatuses ?? [])];
    for (const { name: container, state } of statuses) {
      const code = state?.terminated?.exitCode ?? 0;
      if (code === 0 || (containerName !== undefined && containerName !== container)) continue;
      if (values.includes(code) === (operator === 'In'))
        return `Container ${container} for pod ${name} failed with exit code ${code}`;
    }
    return undefined;
  }
  const condition = onPodConditions?.find((pattern) =>
    pod.status?.conditions?.some(({ type, status }) => type === pattern.type && status === (pattern.status ?? 'True')),
  );
  return condition && `Pod ${name} has condition ${condition.type}`;
}

/** Which rule the succeeded indexes satisfy, as a message. */
export function successRuling(job: Job, succeeded: ReadonlySet<number>): string | undefined {
  const completions = job.spec?.completions ?? 0;
  const rules = job.spec?.successPolicy?.rules ?? [];
  const at = rules.findIndex(({ succeededIndexes, succeededCount }) => {
    if (succeededIndexes === undefined) return succeededCount !== undefined && succeeded.size >= succeededCount;
    const wanted = parseIndexes(succeededIndexes, completions);
    const reached = [...wanted].filter((index) => succeeded.has(index)).length;
    // Indexes the Job does not have are not reached by doing nothing.
    return wanted.size > 0 && reached >= (succeededCount ?? wanted.size);
  });
  return at < 0 ? undefined : `Matched rules at index ${at}`;
}
