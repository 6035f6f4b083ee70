import { backupMutants, backupSubject } from './backup.js';
import { fleetMutants, fleetSubject } from './fleet.js';
import type { Mutant } from './mutant.js';
import { ringMutants, ringSubject } from './ring.js';
import { siteMutants, siteSubject } from './site.js';
import { tenantMutants, tenantSubject } from './tenant.js';

/** Controllers that are right, each with what it is put through. Their bugs are put through the very same. */
export const cleanScenarios = [fleetSubject, siteSubject, tenantSubject, backupSubject, ringSubject].map((subject) => ({
  name: subject.name,
  scenario: subject.scenario((subject.make as () => ReturnType<typeof subject.make>)()),
}));

/** Every planted bug. */
export const mutants: readonly Mutant[] = [
  ...fleetMutants,
  ...siteMutants,
  ...tenantMutants,
  ...backupMutants,
  ...ringMutants,
];

/** How a bug is named in the table of kills. */
export const mutantId = ({ subject, name }: Pick<Mutant, 'subject' | 'name'>): string => `${subject}: ${name}`;
