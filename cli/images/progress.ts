import type { PullProgress } from '@trimtab/kubelet-lite';

/** Shows a pull: a line a layer that is redrawn on a terminal, else one line when a layer is done. */
export function showPull(stream: NodeJS.WriteStream): PullProgress {
  const layers = new Map<string, { size: number; bytes: number; done: boolean }>();
  let drawn = 0;
  let last = 0;
  const draw = (): void => {
    if (drawn > 0) stream.write(`\x1b[${drawn}A`);
    for (const [digest, layer] of layers) stream.write(`\x1b[2K${lineOf(digest, layer)}\n`);
    drawn = layers.size;
  };
  return (event) => {
    if (event.type === 'resolved') {
      for (const { digest, size } of event.layers) layers.set(digest, { size, bytes: 0, done: false });
      if (!stream.isTTY) stream.write(`${event.digest}: ${layers.size} layers\n`);
    } else {
      const layer = layers.get(event.digest);
      if (layer === undefined) return;
      if (event.type === 'layer') layer.bytes = event.bytes;
      else layer.done = true;
      if (!stream.isTTY && layer.done) stream.write(`${lineOf(event.digest, layer)}\n`);
    }
    // Ten times a second is as often as anybody looks.
    const now = performance.now();
    if (stream.isTTY && (event.type !== 'layer' || now - last > 100)) {
      last = now;
      draw();
    }
  };
}

function lineOf(digest: string, { size, bytes, done }: { size: number; bytes: number; done: boolean }): string {
  const what = done ? 'done' : bytes >= size ? 'unpacking' : `${humanSize(bytes)} of ${humanSize(size)}`;
  return `${digest.slice(7, 19)}: ${what}`;
}

export const humanSize = (bytes: number): string =>
  bytes < 1e6
    ? `${(bytes / 1e3).toFixed(1)}kB`
    : bytes < 1e9
      ? `${(bytes / 1e6).toFixed(1)}MB`
      : `${(bytes / 1e9).toFixed(2)}GB`;
