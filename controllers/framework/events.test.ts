import { CallingClient } from '@trimtab/client';
import { type Event, type KubeObject, silentLogger, VirtualClock } from '@trimtab/machinery';
import { NEVER } from 'rxjs';
import { EventRecorder } from './events.js';

/** A server that answers nothing before it is let go. */
class SlowClient extends CallingClient {
  readonly written: string[] = [];
  go: () => void = () => {};
  readonly #gone = new Promise<void>((resolve) => {
    this.go = resolve;
  });

  async call(call: { readonly verb: string; readonly object?: KubeObject }): Promise<unknown> {
    await this.#gone;
    this.written.push((call.object as Event).message ?? '');
    return call.object;
  }

  watch() {
    return NEVER;
  }
}

test('while a thousand events wait to be written, others are not recorded; afterwards they are', async () => {
  const client = new SlowClient();
  const recorder = new EventRecorder({ client, clock: new VirtualClock(), logger: silentLogger, source: 'test' });
  const record = (n: number) =>
    recorder.record({
      regarding: { apiVersion: 'v1', kind: 'Pod', metadata: { namespace: 'default', name: `p${n}`, uid: `u${n}` } },
      type: 'Normal',
      reason: 'Tested',
      message: `${n}`,
    } as never);
  for (let n = 0; n < 1500; n++) record(n);
  client.go();
  await recorder.flushed();
  expect(client.written).toEqual(Array.from({ length: 1000 }, (_, n) => `${n}`));
  record(1500);
  await recorder.flushed();
  expect(client.written.at(-1)).toBe('1500');
});
