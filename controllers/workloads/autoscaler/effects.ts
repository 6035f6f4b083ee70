import { change, changeTo, type Effect, event, requeueAfter } from '@trimtab/framework';
import { HorizontalPodAutoscalers } from '@trimtab/machinery';
import type { AutoscalerFacts } from './facts.js';
import { HISTORY, historyOf, historyText, PERIOD_MS } from './history.js';

/** Before anything is scaled: what is done is known afterwards, whatever happens. */
export const remember = ({ hpa, history, target }: AutoscalerFacts): readonly Effect[] => {
  const text = historyText(history);
  const known = historyText(historyOf(hpa, target?.scale.spec?.replicas ?? 0));
  if (text === known) return [];
  return change(HorizontalPodAutoscalers, hpa, (draft) => {
    draft.metadata.annotations = { ...draft.metadata.annotations, [HISTORY]: text };
  });
};

/** Fails when anything of the target has changed since its scale was read. */
export const scale = ({ hpa, target, desired, because }: AutoscalerFacts): readonly Effect[] => [
  {
    type: 'patch',
    resource: target!.resource,
    key: target!.key,
    uid: target!.scale.metadata.uid,
    resourceVersion: target!.scale.metadata.resourceVersion,
    subresource: 'scale',
    operations: [{ op: 'add', path: '/spec/replicas', value: desired }],
    announce: {
      regarding: hpa,
      done: { reason: 'SuccessfulRescale', message: `New size: ${desired}; reason: ${because}` },
      failed: { reason: 'FailedRescale', message: `New size: ${desired}; reason: ${because}; error: {error}` },
    },
  },
];

export const complain = ({ hpa, complaints }: AutoscalerFacts): readonly Effect[] =>
  complaints.map(({ reason, message }) => event(hpa, 'Warning', reason, message));

export const report = ({ hpa, status }: AutoscalerFacts): readonly Effect[] =>
  changeTo(HorizontalPodAutoscalers, hpa, { ...hpa, status }, { subresource: 'status' });

export const lookAgain = (): readonly Effect[] => [requeueAfter(PERIOD_MS)];
