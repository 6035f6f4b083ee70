import type { RemoteService } from './api-service.js';
import { remoteUserHeaders } from './remote-user.js';
import type { RemoteTransport } from './transport.js';

const maxBytes = 32 << 20;
/** As whom the server itself asks (kubernetes: kube-aggregator). */
const asker = { name: 'system:kube-aggregator', groups: ['system:masters'] };

/** Gets a JSON document from an aggregated server. Rejects on anything but a 200 answer with JSON in it. */
export async function readJson(
  transport: RemoteTransport,
  remote: RemoteService,
  path: string,
  timeoutMs: number,
): Promise<unknown> {
  const { answer } = await transport.send(remote, {
    method: 'GET',
    path,
    headers: { accept: 'application/json', ...remoteUserHeaders(asker) },
    timeoutMs,
  });
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > maxBytes) throw new Error(`${path}: the answer is longer than ${maxBytes} bytes`);
    chunks.push(chunk);
  }
  if (answer.statusCode !== 200) throw new Error(`bad status from ${path}: ${answer.statusCode}`);
  return JSON.parse(Buffer.concat(chunks).toString('utf8'));
}
