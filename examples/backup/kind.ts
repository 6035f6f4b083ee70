import { customKind, type ObjectOf, s } from '@trimtab/framework';

export const Backups = customKind({
  group: 'example.com',
  version: 'v1',
  kind: 'Backup',
  spec: s.object({
    image: s.string({ minLength: 1 }),
    source: s.string({ pattern: '^/', description: 'The directory to save' }),
  }),
  status: s.object({ conditions: s.conditions() }),
  columns: [
    { name: 'Ready', type: 'string', path: '.status.conditions[?(@.type=="Ready")].status' },
    { name: 'State', type: 'string', path: '.status.conditions[?(@.type=="Ready")].reason' },
  ],
});

export type Backup = ObjectOf<typeof Backups>;
