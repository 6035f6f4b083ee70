export { type Explanation, explain, type NodeVerdict } from './explain.js';
export { Picture, type Surroundings } from './picture.js';
export { podInfo } from './pod-info.js';
export { PROFILES, type Profile } from './profile.js';
export { schedule } from './schedule.js';
export { Scheduler, type SchedulerOptions } from './scheduler.js';
