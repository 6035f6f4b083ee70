import type { NodeHttpAnswer } from '@trimtab/client';

/** The forms in which a node answers its own paths. */
export const json = (value: object): NodeHttpAnswer => ({
  status: 200,
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify(value),
});

export const text = (status: number, body: string): NodeHttpAnswer => ({
  status,
  headers: { 'content-type': 'text/plain; charset=utf-8' },
  body,
});
