import { connect, constants } from 'node:http2';
import type { Duplex } from 'node:stream';
import type { ProbeOutcome } from './prober.js';

const PATH = '/grpc.health.v1.Health/Check';
const SERVING = 1;
const STATUS_NAMES = ['UNKNOWN', 'SERVING', 'NOT_SERVING', 'SERVICE_UNKNOWN'];

/** `grpc.health.v1.Health/Check` over a stream that is connected already. */
export function grpcHealth(
  stream: Duplex,
  authority: string,
  service: string,
  signal: AbortSignal,
): Promise<ProbeOutcome> {
  return new Promise((resolve, reject) => {
    const session = connect(`http://${authority}`, { createConnection: () => stream });
    session.on('error', reject);
    const call = session.request({
      [constants.HTTP2_HEADER_METHOD]: 'POST',
      [constants.HTTP2_HEADER_PATH]: PATH,
      'content-type': 'application/grpc',
      te: 'trailers',
      'user-agent': 'kube-probe/1.33',
    });
    const parts: Buffer[] = [];
    let code = '';
    let message = '';
    const readStatus = (headers: Readonly<Record<string, unknown>>): void => {
      code = String(headers['grpc-status'] ?? code);
      message = String(headers['grpc-message'] ?? message);
    };
    call.on('response', readStatus);
    call.on('trailers', readStatus);
    call.on('data', (chunk: Buffer) => parts.push(chunk));
    call.on('error', reject);
    call.on('end', () => {
      session.destroy();
      resolve(judge(code, message, Buffer.concat(parts)));
    });
    signal.addEventListener('abort', () => session.destroy(), { once: true });
    call.end(frame(encodeRequest(service)));
  });
}

function judge(code: string, message: string, body: Buffer): ProbeOutcome {
  if (code !== '0') {
    return { result: 'failure', output: `error: health rpc failed: code = ${code || 'none'} desc = ${message}` };
  }
  const status = servingStatus(body);
  if (status === SERVING) return { result: 'success', output: 'service healthy' };
  return { result: 'failure', output: `service unhealthy (responded with "${STATUS_NAMES[status] ?? status}")` };
}

/** HealthCheckRequest: field 1, the service's name. */
function encodeRequest(service: string): Buffer {
  if (service === '') return Buffer.alloc(0);
  const text = Buffer.from(service);
  if (text.length > 127) throw new Error('grpc service name is longer than 127 bytes');
  return Buffer.concat([Buffer.from([0x0a, text.length]), text]);
}

/** A gRPC message: not compressed, then its length in four bytes. */
function frame(message: Buffer): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

/** HealthCheckResponse: field 1, an enum; absent is UNKNOWN. */
function servingStatus(body: Buffer): number {
  return body.length >= 7 && body[5] === 0x08 ? (body[6] ?? 0) : 0;
}
