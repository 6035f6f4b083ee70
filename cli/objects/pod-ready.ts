import type { Pod } from '@trimtab/machinery';

/** Whether the pod says that it is ready. */
export const isReady = ({ status }: Pod): boolean =>
  status?.conditions?.some(({ type, status: is }) => type === 'Ready' && is === 'True') ?? false;
