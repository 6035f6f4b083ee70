import { createHash } from 'node:crypto';

/**
 * Deals a flow its hand of queues: `handSize` distinct ones of `queues`, the same for the same flow. Two flows seldom have
 * all their queues in common, so that a noisy flow leaves almost every other one a queue of its own.
 */
export function dealHand(flow: string, queues: number, handSize: number): readonly number[] {
  let entropy = createHash('sha256').update(flow).digest().readBigUInt64BE(0);
  const hand: number[] = [];
  for (let left = queues; hand.length < Math.min(handSize, queues); left--) {
    let card = Number(entropy % BigInt(left));
    entropy /= BigInt(left);
    // A card counts those that are still in the pack.
    for (const dealt of [...hand].sort((a, b) => a - b)) if (dealt <= card) card++;
    hand.push(card);
  }
  return hand;
}
