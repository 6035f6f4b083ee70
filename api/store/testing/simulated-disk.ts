import type { Random } from '@trimtab/machinery';
import type { Disk, DiskFile, Writing } from '../engine/embedded/disk.js';

const SECTOR = 512;

export type DiskOperation = 'create' | 'write' | 'truncate' | 'sync' | 'rename' | 'remove' | 'syncNames' | 'read';

/** Called before each operation; what it throws is the operation's error, what it returns is waited for. */
export type Failpoint = (operation: DiskOperation, name: string) => void | Promise<void>;

interface Inode {
  current: Buffer;
  synced: Buffer;
}

/**
 * A disk in memory that can lose power: what was not synced is then there, not there, or there in part, sector by sector; names
 * made, renamed or removed since the last sync of names are there up to some instant. It can also be full, slow or failing.
 */
export class SimulatedDisk implements Disk {
  readonly place = '/simulated';
  #names: Map<string, Inode>;
  #syncedNames: Map<string, Inode>[];
  #dead = false;
  /** Bytes all files together may have. */
  capacity = Number.POSITIVE_INFINITY;
  failpoint: Failpoint = () => {};
  operations = 0;

  constructor(files: ReadonlyMap<string, Buffer> = new Map()) {
    this.#names = new Map([...files].map(([name, bytes]) => [name, { current: bytes, synced: bytes }]));
    this.#syncedNames = [new Map(this.#names)];
  }

  get bytes(): number {
    return [...this.#names.values()].reduce((sum, { current }) => sum + current.length, 0);
  }

  /** What is on the disk after the power came back. This disk answers nothing any more. */
  losePower(random: Random): SimulatedDisk {
    this.#dead = true;
    const pick = <T>(items: readonly T[]): T => items[Math.floor(random.next() * items.length)]!;
    const names = pick(this.#syncedNames);
    const files = [...names].map(([name, inode]): [string, Buffer] => [name, survivor(inode, random, pick)]);
    return new SimulatedDisk(new Map(files));
  }

  /** What is there after the process was killed and the machine was not: everything written. */
  killProcess(): SimulatedDisk {
    this.#dead = true;
    const next = this.copy();
    // It is no more synced than it was.
    for (const [name, { synced }] of this.#names) next.#inode(name).synced = synced;
    return next;
  }

  copy(): SimulatedDisk {
    return new SimulatedDisk(new Map([...this.#names].map(([name, { current }]) => [name, Buffer.from(current)])));
  }

  /** Changes one byte, as a failing medium would. */
  flip(name: string, at: number): void {
    const inode = this.#names.get(name)!;
    const bytes = Buffer.from(inode.current);
    bytes[at]! ^= 0x55;
    this.#names.set(name, { current: bytes, synced: bytes });
  }

  async names(): Promise<readonly string[]> {
    return [...this.#names.keys()];
  }

  read(name: string, length?: number): Promise<Buffer> {
    return this.#step('read', name, () => Buffer.from(this.#inode(name).current.subarray(0, length)));
  }

  create(name: string, how?: Writing): Promise<DiskFile> {
    return this.#step('create', name, () => {
      this.#names.set(name, { current: Buffer.alloc(0), synced: Buffer.alloc(0) });
      this.#named();
      return this.#file(name, how);
    });
  }

  async open(name: string, how?: Writing): Promise<DiskFile> {
    return this.#file(name, how);
  }

  #file(name: string, { synced = false }: Writing = {}): DiskFile {
    const file = this.#unsynced(name);
    const inode = this.#inode(name);
    const sync = (from: number, to: number) =>
      this.#step('sync', name, () => {
        const bytes = Buffer.alloc(Math.max(inode.synced.length, to));
        bytes.set(inode.synced);
        bytes.set(inode.current.subarray(from, to), from);
        inode.synced = bytes;
      });
    return {
      ...file,
      // At some instant between the two the power may go.
      async write(bytes, position) {
        await file.write(bytes, position);
        if (synced) await sync(position, position + bytes.length);
      },
    };
  }

  #unsynced(name: string): DiskFile {
    const inode = this.#inode(name);
    return {
      write: (bytes, position) =>
        this.#step('write', name, () => {
          const room = Math.max(0, this.capacity - this.bytes + inode.current.length - position);
          // A full disk takes what it can.
          const taken = bytes.subarray(0, Math.min(bytes.length, room));
          const current = Buffer.alloc(Math.max(inode.current.length, position + taken.length));
          current.set(inode.current);
          current.set(taken, position);
          inode.current = current;
          if (taken.length < bytes.length) throw systemError('ENOSPC', 'no space left on device, write');
        }),
      truncate: (length) =>
        this.#step('truncate', name, () => {
          inode.current = Buffer.from(inode.current.subarray(0, length));
        }),
      sync: () =>
        this.#step('sync', name, () => {
          inode.synced = inode.current;
        }),
      close: async () => {},
    };
  }

  rename(from: string, to: string): Promise<void> {
    return this.#step('rename', from, () => {
      this.#names.set(to, this.#inode(from));
      this.#names.delete(from);
      this.#named();
    });
  }

  remove(name: string): Promise<void> {
    return this.#step('remove', name, () => {
      this.#inode(name);
      this.#names.delete(name);
      this.#named();
    });
  }

  syncNames(): Promise<void> {
    return this.#step('syncNames', '', () => {
      this.#syncedNames = [new Map(this.#names)];
    });
  }

  /** Each operation happens at one instant. */
  async #step<T>(operation: DiskOperation, name: string, act: () => T): Promise<T> {
    this.operations++;
    await this.failpoint(operation, name);
    // Whoever lost power goes no further.
    if (this.#dead) return new Promise(() => {});
    return act();
  }

  #inode(name: string): Inode {
    const inode = this.#names.get(name);
    if (inode === undefined) throw systemError('ENOENT', `no such file or directory, '${name}'`);
    return inode;
  }

  #named(): void {
    this.#syncedNames.push(new Map(this.#names));
  }
}

function survivor({ current, synced }: Inode, random: Random, pick: <T>(items: readonly T[]) => T): Buffer {
  if (current === synced) return Buffer.from(current);
  const between = Math.floor(
    Math.min(current.length, synced.length) + random.next() * Math.abs(current.length - synced.length),
  );
  const length = pick([current.length, synced.length, current.length, between]);
  const bytes = Buffer.alloc(length);
  const share = pick([0, 0.5, 1, 0.9]);
  for (let at = 0; at < length; at += SECTOR) {
    const source = random.next() < share ? current : synced;
    bytes.set(source.subarray(at, Math.min(at + SECTOR, length)), at);
  }
  return bytes;
}

export function systemError(code: string, message: string): Error {
  return Object.assign(new Error(`${code}: ${message}`), { code });
}
