import { controller, operator } from '@trimtab/framework';
import { Pods } from '@trimtab/machinery';
import { type Backup, Backups } from './kind.js';
import { backupMachine } from './machine.js';

export { type Backup, Backups } from './kind.js';
export { backupMachine } from './machine.js';

/** The machine's state is kept on the object: deadlines and attempts survive any restart. */
export const backups = controller<Backup>({
  name: 'backup',
  for: Backups,
  owns: [Pods],
  machine: backupMachine,
  durable: true,
});

export const app = operator({ name: 'backup', controllers: [backups], definitions: [Backups.definition] });
