import * as fs from 'node:fs/promises';
import { join } from 'node:path';
import { type Clock, type Random, sleep } from '@trimtab/machinery';

const WAIT_MS = 10;

/**
 * Keeps those who bring images and the one who clears away apart, across processes and without locks that outlive a crash: both
 * first leave a mark, then look for the other's. Marks name their process; one of a process that is no more counts for nothing.
 */
export class UseMarks {
  readonly #directory: string;
  readonly #clock: Clock;
  readonly #random: Random;

  constructor(directory: string, clock: Clock, random: Random) {
    this.#directory = directory;
    this.#clock = clock;
    this.#random = random;
  }

  async make(): Promise<void> {
    await fs.mkdir(this.#directory, { recursive: true });
  }

  /** While `work` goes on, nothing is cleared away that it has found here. */
  async bringing<T>(work: () => Promise<T>): Promise<T> {
    const mine = await this.#mark('bring');
    try {
      while (await this.#others('clear', mine)) await sleep(this.#clock, WAIT_MS);
      return await work();
    } finally {
      await fs.rm(join(this.#directory, mine), { force: true });
    }
  }

  /** Undefined, and nothing is done, while anybody else brings or clears: the next one will find what is left. */
  async clearing<T>(work: () => Promise<T>): Promise<T | undefined> {
    const mine = await this.#mark('clear');
    try {
      if ((await this.#others('bring', mine)) || (await this.#others('clear', mine))) return undefined;
      return await work();
    } finally {
      await fs.rm(join(this.#directory, mine), { force: true });
    }
  }

  async #mark(kind: string): Promise<string> {
    const pid = await fs.readlink('/proc/self').catch(() => '0');
    const name = `${kind}.${Buffer.from(this.#random.bytes(6)).toString('hex')}.${pid}`;
    await fs.writeFile(join(this.#directory, name), '');
    return name;
  }

  async #others(kind: string, mine: string): Promise<boolean> {
    for (const name of await fs.readdir(this.#directory)) {
      const pid = /^([a-z]+)\.[0-9a-f]+\.(\d+)$/.exec(name);
      if (pid?.[1] !== kind || name === mine) continue;
      if ((await fs.stat(`/proc/${pid[2]}`).catch(() => undefined)) !== undefined) return true;
      await fs.rm(join(this.#directory, name), { force: true });
    }
    return false;
  }
}
