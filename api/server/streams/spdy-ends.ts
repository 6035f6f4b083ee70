import type { Duplex } from 'node:stream';
import type { AttachOptions } from '@trimtab/client';
import { type Clock, StatusError } from '@trimtab/machinery';
import { parseSize } from './channels.js';
import type { RemoteEnds } from './session.js';
import { SpdySession, type SpdyStream } from './spdy/session.js';

const openTimeout = 30_000;
const offered = ['v4.channel.k8s.io', 'v3.channel.k8s.io', 'v2.channel.k8s.io', 'channel.k8s.io'];

/** Of the stream protocols a client offers, the newest we know. A client that names none speaks the first. */
export function chooseSpdyProtocol(requested: readonly string[]): string | undefined {
  if (requested.length === 0) return 'channel.k8s.io';
  return offered.find((name) => requested.includes(name));
}

/** Exec and attach over SPDY: resolves when the client has opened every stream that goes with what it wants. */
export async function spdyEnds(
  socket: Duplex,
  protocol: string,
  wanted: AttachOptions,
  clock: Clock,
): Promise<RemoteEnds> {
  const version = protocol.startsWith('v') ? Number(protocol[1]) : 1;
  const expected = [
    'error',
    ...(wanted.stdin ? ['stdin'] : []),
    ...(wanted.stdout ? ['stdout'] : []),
    ...(wanted.stderr && !wanted.tty ? ['stderr'] : []),
    ...(wanted.tty && version >= 3 ? ['resize'] : []),
  ];
  const streams = new Map<string, SpdyStream>();
  let session: SpdySession | undefined;
  await new Promise<void>((resolve, reject) => {
    const cancel = clock.after(openTimeout, () => reject(timedOut(expected.filter((e) => !streams.has(e)))));
    session = new SpdySession(socket, (stream) => {
      const type = stream.headers.get('streamtype') ?? '';
      if (!expected.includes(type) || streams.has(type)) {
        stream.destroy();
        return;
      }
      streams.set(type, stream);
      if (streams.size < expected.length) return;
      cancel();
      resolve();
    });
    void session.closed.then(() => {
      cancel();
      reject(new Error('the client left before its streams were open'));
    });
  }).catch((error: unknown) => {
    session?.close();
    throw error;
  });
  const error = streams.get('error')!;
  for (const type of ['error', 'stdout', 'stderr']) streams.get(type)?.resume();
  return {
    stdin: streams.get('stdin'),
    stdout: streams.get('stdout'),
    stderr: streams.get('stderr'),
    error,
    onResize(listener) {
      streams.get('resize')?.on('data', (chunk: Buffer) => {
        for (const line of chunk.toString().split('\n')) {
          const size = line.trim() ? parseSize(Buffer.from(line)) : undefined;
          if (size) listener(size.columns, size.rows);
        }
      });
    },
    statusErrors: version >= 4,
    gone: session!.closed,
    close: () => {
      if (error.writableFinished || error.destroyed) session!.close();
      else error.once('close', () => session!.close()).once('finish', () => session!.close());
    },
  };
}

function timedOut(missing: readonly string[]): StatusError {
  return new StatusError({
    code: 408,
    reason: 'Timeout',
    message: `timed out waiting for the client to open streams: ${missing.join(', ')}`,
  });
}
