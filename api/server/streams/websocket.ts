import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { WebSocket } from 'ws';

const tokenProtocol = 'base64url.bearer.authorization.k8s.io.';

/** The subprotocols a client offers, without the one that carries its token. */
export function requestedProtocols(request: IncomingMessage): readonly string[] {
  return (request.headers['sec-websocket-protocol'] ?? '')
    .split(',')
    .map((p) => p.trim())
    .filter((p) => p !== '' && !p.startsWith(tokenProtocol));
}

/**
 * Completes a WebSocket handshake with the given subprotocol. The library takes only tokens for subprotocols, and one of
 * Kubernetes' has a slash: so it never sees them.
 */
export async function acceptWebSocket(
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  protocol: string | undefined,
): Promise<WebSocket> {
  const { WebSocketServer } = await import('ws');
  const server = new WebSocketServer({ noServer: true, perMessageDeflate: false, maxPayload: 32 * 1024 * 1024 });
  delete request.headers['sec-websocket-protocol'];
  server.on('headers', (headers) => {
    if (protocol) headers.push(`Sec-WebSocket-Protocol: ${protocol}`);
  });
  return new Promise((resolve, reject) => {
    socket.once('close', () => reject(new Error('the client left during the WebSocket handshake')));
    server.handleUpgrade(request, socket, head, (ws) => {
      ws.on('error', () => {});
      resolve(ws);
    });
  });
}
