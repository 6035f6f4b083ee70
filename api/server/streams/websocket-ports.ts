import type { Duplex } from 'node:stream';
import type { RawData, WebSocket } from 'ws';
import { type ChannelProtocol, decodeMessage } from './channels.js';
import type { StreamTarget } from './target.js';
import { bufferOf, channelWriter } from './websocket-ends.js';

/**
 * Port-forward in channels: port number i of the query has channel 2i for data and 2i+1 for errors, and the first message
 * on each tells the port, little-endian. One connection a port, made at once.
 */
export async function serveWebSocketPorts(
  ws: WebSocket,
  protocol: ChannelProtocol,
  ports: readonly number[],
  { node, pod }: StreamTarget,
): Promise<void> {
  const connections: Duplex[] = [];
  ws.on('message', (raw: RawData) => {
    const message = decodeMessage(protocol, bufferOf(raw));
    if (message && message.id % 2 === 0) connections[message.id / 2]?.write(message.data);
  });
  const closed = new Promise<void>((resolve) => {
    ws.once('close', () => resolve());
  });
  ws.pause();
  for (const [i, port] of ports.entries()) {
    const data = channelWriter(ws, protocol, 2 * i);
    const error = channelWriter(ws, protocol, 2 * i + 1);
    const number = Buffer.alloc(2);
    number.writeUInt16LE(port);
    data.write(number);
    error.write(number);
    const fail = (cause: unknown) =>
      error.write(
        `error forwarding port ${port} to pod ${pod.name}, uid ${pod.uid}: ${cause instanceof Error ? cause.message : String(cause)}`,
      );
    try {
      const connection = await node.portForward(pod, port);
      connections[i] = connection;
      connection.on('error', fail);
      connection.once('close', () => {
        if (connections.every((c) => c.destroyed)) ws.close(1000);
      });
      connection.pipe(data);
    } catch (cause) {
      fail(cause);
    }
  }
  ws.resume();
  await closed;
  for (const connection of connections) connection?.destroy();
}
