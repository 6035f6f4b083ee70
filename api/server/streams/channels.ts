/**
 * Kubernetes' channels over WebSocket: the first byte of a message names the channel. Pure.
 * `base64.` protocols carry text messages: the channel as a digit, then base64.
 */
export const channel = { stdin: 0, stdout: 1, stderr: 2, error: 3, resize: 4, close: 255 } as const;

export interface ChannelProtocol {
  readonly name: string;
  readonly base64: boolean;
  /** 1 to 5; from 4 on the error channel carries a Status, from 5 on a client can close its channels. */
  readonly version: number;
}

const offered = ['v5.channel.k8s.io', 'v4.channel.k8s.io', 'v3.channel.k8s.io', 'v2.channel.k8s.io', 'channel.k8s.io'];

/** Of the subprotocols a client offers, the newest we know; undefined when none is known. */
export function chooseProtocol(requested: readonly string[]): ChannelProtocol | undefined {
  for (const prefix of ['', 'base64.'])
    for (const name of offered)
      if (requested.includes(prefix + name))
        return { name: prefix + name, base64: prefix !== '', version: versionOf(name) };
  return undefined;
}

function versionOf(name: string): number {
  return name.startsWith('v') ? Number(name[1]) : 1;
}

export function encodeMessage(protocol: ChannelProtocol, id: number, data: Buffer): Buffer | string {
  if (protocol.base64) return `${id}${data.toString('base64')}`;
  return Buffer.concat([Buffer.of(id), data]);
}

/** Undefined for an empty message. */
export function decodeMessage(
  protocol: ChannelProtocol,
  message: Buffer,
): { readonly id: number; readonly data: Buffer } | undefined {
  if (message.length === 0) return undefined;
  if (!protocol.base64) return { id: message[0]!, data: message.subarray(1) };
  return { id: message[0]! - 0x30, data: Buffer.from(message.toString('latin1', 1), 'base64') };
}

/** `{"Width":80,"Height":24}`; undefined for anything else. */
export function parseSize(data: Buffer): { readonly columns: number; readonly rows: number } | undefined {
  try {
    const { Width, Height } = JSON.parse(data.toString()) as { Width?: unknown; Height?: unknown };
    return typeof Width === 'number' && typeof Height === 'number' ? { columns: Width, rows: Height } : undefined;
  } catch {
    return undefined;
  }
}
