import { CallFailed, type Connection } from './connection.js';
import { isCompacted } from './errors.js';
import type { Keys } from './keys.js';
import type { Methods } from './messages.js';
import type { Session } from './session.js';

/**
 * Compacts, where this is the process that does: whoever did it last goes on doing it for as long as it has its session; the others
 * leave it alone.
 */
export class Compactor {
  constructor(
    readonly connection: Connection,
    readonly methods: Methods,
    readonly keys: Keys,
    readonly session: Session,
  ) {}

  async compact(revision: number, deadline: number): Promise<void> {
    try {
      if (!(await this.#mayCompact(revision, deadline))) return;
      await this.connection.ask(this.methods.compact, { revision }, deadline);
    } catch (error) {
      if (!(error instanceof CallFailed)) throw error;
      if (!isCompacted(error.cause)) throw error.failure.error;
    }
  }

  async #mayCompact(revision: number, deadline: number): Promise<boolean> {
    const key = this.keys.compacted;
    const { kvs } = await this.connection.ask(this.methods.range, { key }, deadline);
    const [last] = kvs;
    const [done = '0', holder = ''] = Buffer.from(last?.value ?? '')
      .toString('latin1')
      .split(' ');
    if (Number(done) >= revision) return false;
    const compare = [{ result: 0, target: 2, key, modRevision: Number(last?.modRevision ?? 0) } as const];
    const gone = { result: 0, target: 2, key: this.keys.session(holder), modRevision: 0 } as const;
    const value = Buffer.from(`${revision} ${this.session.id}`);
    const { succeeded } = await this.connection.call(this.methods.txn, {
      compare: holder === '' || holder === this.session.id ? compare : [...compare, gone],
      success: [{ put: { key, value } }],
      failure: [],
    });
    return succeeded;
  }
}
