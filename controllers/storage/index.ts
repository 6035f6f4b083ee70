import type { ControllerDefinition } from '@trimtab/framework';
import { claimController } from './claim/controller.js';
import { ephemeralVolumeController } from './ephemeral/controller.js';
import { claimProtection } from './protection/claim.js';
import { volumeProtection } from './protection/volume.js';
import { localProvisioner } from './provisioner/controller.js';
import { volumeController } from './volume/controller.js';

/** Everything that brings claims, volumes and pods together. */
export const storageControllers: readonly ControllerDefinition[] = [
  claimController,
  volumeController,
  localProvisioner,
  claimProtection,
  volumeProtection,
  ephemeralVolumeController,
];
