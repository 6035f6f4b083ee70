import type { LiveReader, View } from '@trimtab/framework';
import { isReason, type Node, Nodes, Pods } from '@trimtab/machinery';

/** Whether the server has the node; known without asking while a cache has it, and not asked while nothing hangs on it. */
export type Existence = 'present' | 'absent' | 'unasked';

/** A node's pods may be seen before the node itself is: only the server can say that there is none. */
export async function observeExistence(view: View<Node>, client: LiveReader): Promise<Existence> {
  if (view.object !== undefined) return 'present';
  if (view.byIndex(Pods, 'node', view.key.name).length === 0) return 'unasked';
  try {
    await client.get(Nodes, { name: view.key.name });
    return 'present';
  } catch (error) {
    if (!isReason(error, 'NotFound')) throw error;
    return 'absent';
  }
}
