import type { Duplex } from 'node:stream';
import type { Logger } from '@trimtab/machinery';
import { SpdySession, type SpdyStream } from './spdy/session.js';
import type { StreamTarget } from './target.js';

export const portForwardProtocol = 'portforward.k8s.io';

/**
 * Forwards ports over a SPDY connection: the client opens, for each connection it accepts, an error and a data stream with
 * the same `requestID` and the pod's `port`. What goes wrong with one is said on its error stream and ends nothing else.
 */
export function servePortForward(transport: Duplex, target: StreamTarget, logger: Logger): Promise<void> {
  const waiting = new Map<string, { error?: SpdyStream; data?: SpdyStream }>();
  const session = new SpdySession(transport, (stream) => {
    const port = Number(stream.headers.get('port'));
    const type = stream.headers.get('streamtype');
    if (!Number.isInteger(port) || port < 1 || port > 65535 || (type !== 'error' && type !== 'data')) {
      stream.destroy();
      return;
    }
    // Clients before request ids opened the pair one right after the other.
    const id = stream.headers.get('requestid') ?? String(type === 'error' ? stream.id : stream.id - 2);
    const pair = { ...waiting.get(id), [type]: stream };
    if (!pair.error || !pair.data) {
      waiting.set(id, pair);
      return;
    }
    waiting.delete(id);
    void forward(target, port, pair.data, pair.error, logger);
  });
  return session.closed;
}

async function forward(
  { node, pod }: StreamTarget,
  port: number,
  data: SpdyStream,
  error: SpdyStream,
  logger: Logger,
): Promise<void> {
  error.resume();
  const fail = (cause: unknown) => {
    const why = cause instanceof Error ? cause.message : String(cause);
    if (!error.writableEnded) error.end(`error forwarding port ${port} to pod ${pod.name}, uid ${pod.uid}: ${why}`);
    data.destroy();
  };
  try {
    const connection = await node.portForward(pod, port);
    connection.on('error', fail);
    connection.once('close', () => {
      if (!error.writableEnded) error.end();
      data.end();
    });
    data.once('close', () => connection.destroy());
    data.pipe(connection);
    connection.pipe(data);
  } catch (cause) {
    logger.debug({ err: cause, pod: pod.name, port }, 'port-forward failed');
    fail(cause);
  }
}
