export interface Requirement {
  readonly package: string;
  readonly for: 'build' | 'run' | 'guestbook' | 'test';
  readonly why: string;
  readonly present: () => boolean;
}
export const NODE: readonly [number, number];
export const packages: readonly Requirement[];
export function missing(...uses: readonly Requirement['for'][]): readonly Requirement[];
export function isRoot(): boolean;
export function nodeIsTooOld(): boolean;
export function installCommand(list: readonly Requirement[]): string;
export function command(name: string): boolean;
export function run(name: string, args: readonly string[], options?: object): boolean;
