import type { Answer, DecodedPacket, OptAnswer, Question, RecordType } from 'dns-packet';
import * as packet from 'dns-packet';
import { type Resolution, resolve, type Zone } from './resolve.js';
import type { DnsView } from './view.js';

const Rcode = { noError: 0, formatError: 1, serverFailure: 2, nameError: 3, notImplemented: 4, refused: 5 } as const;

/** RFC 6891 and the DNS flag day: no larger UDP answer, whatever the client claims to take. */
export const MAX_UDP_PAYLOAD = 1232;
const CLASSIC_UDP_PAYLOAD = 512;

export interface Query {
  readonly id: number;
  readonly question: Question;
  /** Bytes of answer the client takes over UDP. */
  readonly udpPayload: number;
  readonly edns: boolean;
  readonly recursionDesired: boolean;
}

/** The query in a message; an answer to send back when it is not one; undefined when it deserves none. */
export function parseQuery(message: Buffer): Query | { readonly refusal: Buffer } | undefined {
  if (message.length < 12) return undefined;
  const id = message.readUInt16BE(0);
  // An answer is never answered: two servers would talk forever.
  if (message.readUInt8(2) & 0x80) return undefined;
  let decoded: DecodedPacket;
  try {
    decoded = packet.decode(message);
  } catch {
    return { refusal: packet.encode({ type: 'response', id, flags: Rcode.formatError }) };
  }
  const [question, ...others] = decoded.questions ?? [];
  if (((message.readUInt8(2) >> 3) & 15) !== 0)
    return { refusal: packet.encode({ type: 'response', id, flags: Rcode.notImplemented }) };
  if (!question || others.length > 0)
    return { refusal: packet.encode({ type: 'response', id, flags: Rcode.formatError }) };
  if (question.class !== 'IN' && question.class !== 'ANY')
    return { refusal: packet.encode({ type: 'response', id, flags: Rcode.refused, questions: [question] }) };
  const opt = decoded.additionals?.find((record): record is OptAnswer => record.type === 'OPT');
  const claimed = opt?.udpPayloadSize ?? CLASSIC_UDP_PAYLOAD;
  return {
    id,
    question,
    edns: opt !== undefined,
    udpPayload: Math.min(Math.max(claimed, CLASSIC_UDP_PAYLOAD), MAX_UDP_PAYLOAD),
    recursionDesired: ((decoded.flags ?? 0) & packet.RECURSION_DESIRED) !== 0,
  };
}

export interface Content {
  readonly rcode?: number;
  readonly authoritative?: boolean;
  readonly answers?: readonly Answer[];
  readonly authorities?: readonly Answer[];
  readonly additionals?: readonly Answer[];
}

/**
 * The answer as bytes, at most `limit` of them. What does not fit goes in this order: additional records, then all answers
 * with the truncation flag, on which the client asks again over TCP.
 */
export function encodeAnswer(query: Query, content: Content, limit: number): Buffer {
  const opt: OptAnswer[] = query.edns
    ? [
        {
          type: 'OPT',
          name: '.',
          udpPayloadSize: MAX_UDP_PAYLOAD,
          extendedRcode: 0,
          ednsVersion: 0,
          flags: 0,
          flag_do: false,
          options: [],
        },
      ]
    : [];
  const flags =
    (content.rcode ?? Rcode.noError) |
    (content.authoritative === false ? 0 : packet.AUTHORITATIVE_ANSWER) |
    (query.recursionDesired ? packet.RECURSION_DESIRED : 0) |
    packet.RECURSION_AVAILABLE;
  const base = { type: 'response' as const, id: query.id, questions: [query.question] };
  const full = packet.encode({
    ...base,
    flags,
    answers: [...(content.answers ?? [])],
    authorities: [...(content.authorities ?? [])],
    additionals: [...(content.additionals ?? []), ...opt],
  });
  if (full.length <= limit) return full;
  if ((content.additionals?.length ?? 0) > 0) return encodeAnswer(query, { ...content, additionals: [] }, limit);
  return packet.encode({ ...base, flags: flags | packet.TRUNCATED_RESPONSE, additionals: opt });
}

/** What to do with a query: send this, or ask outside first. */
export type Decision =
  | { readonly kind: 'reply'; readonly content: Content }
  | { readonly kind: 'forward' }
  | { readonly kind: 'forwardAlias'; readonly answers: readonly Answer[]; readonly target: string };

/** Pure. Several addresses are rotated by the query's id, so that clients that take the first spread out. */
export function decide(view: DnsView, zone: Zone, query: Query): Decision {
  const { question, id } = query;
  const resolution: Resolution = resolve(view, zone, question.type as RecordType | 'ANY', question.name);
  switch (resolution.kind) {
    case 'forward':
      return { kind: 'forward' };
    case 'alias':
      return { kind: 'forwardAlias', answers: resolution.answers, target: resolution.target };
    case 'nodata':
      return { kind: 'reply', content: { authorities: [resolution.soa] } };
    case 'nxdomain':
      return { kind: 'reply', content: { rcode: Rcode.nameError, authorities: [resolution.soa] } };
    case 'answer': {
      const { answers, additionals } = resolution;
      const first = answers.findIndex((a) => a.type !== 'CNAME');
      const head = first < 0 ? answers : answers.slice(0, first);
      const tail = first < 0 ? [] : answers.slice(first);
      const turn = tail.length > 0 ? id % tail.length : 0;
      return {
        kind: 'reply',
        content: { answers: [...head, ...tail.slice(turn), ...tail.slice(0, turn)], additionals },
      };
    }
  }
}

export const serverFailure: Content = { rcode: Rcode.serverFailure, authoritative: false };
