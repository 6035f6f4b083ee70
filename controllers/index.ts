export {
  type HousekeepingOptions,
  type HousekeepingPart,
  type HousekeepingParts,
  housekeeping,
} from './cluster/housekeeping.js';
export type { Identities, RequestVerdict } from './cluster/identities.js';
export {
  type Explanation,
  explain,
  Picture,
  PROFILES,
  podInfo,
  type Surroundings,
  schedule,
} from './scheduler/index.js';
export { type Controllers, type ControllersOptions, startControllers } from './start-controllers.js';
