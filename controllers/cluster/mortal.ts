import { type Client, Informers } from '@trimtab/client';
import { type ControllerDefinition, runControllers } from '@trimtab/framework';
import { type ResourceType, serviceUnavailable } from '@trimtab/machinery';
import type { World } from '@trimtab/testing';

/** What a controller is started with. */
export interface Parts extends Pick<World, 'clock' | 'random' | 'logger'> {
  readonly client: Client;
  readonly informers: Informers;
}

export interface Life {
  /** What it asked for, as `verb resource[/subresource] name`; events left out. */
  readonly writes: readonly string[];
  readonly lists: readonly string[];
  /** It has run into its death. */
  readonly isDead: boolean;
  end(): Promise<void>;
}

/** When a life ends: at its `write`th write (from 0), before or after the server has carried that out. */
export interface Death {
  readonly write: number;
  readonly answer: 'unsent' | 'lost';
}

type Start = (parts: Parts) => { stop(): Promise<void> } | Promise<{ stop(): Promise<void> }>;

/** One life of controllers in a world, for tests: caches of its own, and every request fails from its death on. */
export async function live(w: World, start: Start, death?: Death): Promise<Life> {
  const writes: string[] = [];
  const lists: string[] = [];
  let dead = false;
  const alive = async <R>(run: () => Promise<R>): Promise<R> => {
    if (dead) throw serviceUnavailable('the process is dead');
    return run();
  };
  const write = <R>(what: string, type: ResourceType, run: () => Promise<R>): Promise<R> =>
    alive(async () => {
      if (type.resource === 'events') return run();
      const dies = death !== undefined && writes.length >= death.write;
      writes.push(what);
      if (dies) dead = true;
      if (dies && death.answer === 'lost') await run();
      if (dead) throw serviceUnavailable('the process is dead');
      return run();
    });
  const { client: c } = w;
  const client: Client = {
    get: (type, key, options) => alive(() => c.get(type, key, options)),
    list: (type, options) => {
      lists.push(type.resource);
      return alive(() => c.list(type, options));
    },
    watch: (type, options) => c.watch(type, options),
    raw: (path) => alive(() => c.raw(path)),
    create: (t, object, o) => write(`create ${t.resource} ${object.metadata.name}`, t, () => c.create(t, object, o)),
    update: (t, object, o) => write(`update ${t.resource} ${object.metadata.name}`, t, () => c.update(t, object, o)),
    patch: (t, key, patch, o) =>
      write(`patch ${t.resource}${o?.subresource ? `/${o.subresource}` : ''} ${key.name}`, t, () =>
        c.patch(t, key, patch, o),
      ),
    delete: (t, key, o) => write(`delete ${t.resource} ${key.name}`, t, () => c.delete(t, key, o)),
    deleteCollection: (t, o) => write(`deleteAll ${t.resource} ${o?.namespace}`, t, () => c.deleteCollection(t, o)),
    subresource: (t, key, sub, verb, body, o) =>
      write(`${verb} ${t.resource}/${sub} ${key.name}`, t, () => c.subresource(t, key, sub, verb, body, o)),
  };
  const { clock, random, logger } = w;
  const informers = new Informers({ client, clock, random, logger });
  informers.start();
  const starting = Promise.resolve(start({ client, informers, clock, random, logger }));
  await w.pass();
  const running = await starting;
  await w.pass();
  return {
    writes,
    lists,
    get isDead() {
      return dead;
    },
    async end() {
      dead = true;
      const stopped = running.stop();
      await w.pass();
      informers.stop();
      await stopped;
    },
  };
}

export const running =
  (definitions: (parts: Parts) => readonly ControllerDefinition[]): Start =>
  (parts) =>
    runControllers(definitions(parts), parts);

/**
 * Runs a scenario once for every write it makes, and once more: dies there, unsent and with the answer lost, and is
 * followed by a life that goes on from what it finds. `story` gets the first life's death and drives both.
 */
export async function everyDeath(story: (death: Death) => Promise<{ readonly died: boolean }>): Promise<number> {
  for (let write = 0; ; write++) {
    const { died } = await story({ write, answer: 'unsent' });
    await story({ write, answer: 'lost' });
    if (!died) return write;
  }
}
