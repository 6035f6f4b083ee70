/**
 * Takes every step in order, also after one that failed: what stops a cluster must not leave the rest running. Rejects with
 * the first failure once all are done.
 */
export async function allOf(...steps: readonly (() => Promise<unknown> | unknown)[]): Promise<void> {
  const failures: unknown[] = [];
  for (const step of steps) {
    try {
      await step();
    } catch (error) {
      failures.push(error);
    }
  }
  if (failures.length > 0) throw failures[0];
}
