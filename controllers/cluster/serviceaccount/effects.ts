import { create, type Effect } from '@trimtab/framework';
import { ServiceAccounts } from '@trimtab/machinery';

export const DEFAULT = 'default';

export const createDefault = (namespace: string): readonly Effect[] => [
  create(ServiceAccounts, { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { namespace, name: DEFAULT } }),
];
