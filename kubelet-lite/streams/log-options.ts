import type { LogOptions } from '@trimtab/client';

/** The parameters of `pods/log`, as the node's own paths take them. */
export function logOptions(container: string, query: URLSearchParams): LogOptions {
  const number = (field: string) => (query.get(field) ? Number(query.get(field)) : undefined);
  const flag = (field: string) => ['true', '1'].includes(query.get(field) ?? '');
  return {
    container,
    follow: flag('follow'),
    previous: flag('previous'),
    timestamps: flag('timestamps'),
    tailLines: number('tailLines'),
    sinceSeconds: number('sinceSeconds'),
    limitBytes: number('limitBytes'),
    ...(query.get('sinceTime') ? { sinceTime: query.get('sinceTime')! } : {}),
  };
}
