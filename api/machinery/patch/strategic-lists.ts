/** How strategic merge patch orders and thins lists; pure list algebra without a schema. */

/** The list without these scalars. */
export function deleteEntries(list: readonly unknown[], removed: readonly unknown[]): readonly unknown[] {
  const gone = new Set(removed);
  return list.some((item) => gone.has(item)) ? list.filter((item) => !gone.has(item)) : list;
}

/**
 * Orders merged elements: those the client named stand in the client's order, those only the server knows keep the server's
 * order, and the two are interleaved so that a server-only element comes before the next client element it preceded on the
 * server. Elements new to the server come first where nothing else decides, as in Kubernetes.
 */
export function mergeOrder(
  merged: readonly unknown[],
  clientOrder: readonly unknown[],
  serverOrder: readonly unknown[],
  keyOf: (item: unknown) => unknown,
): readonly unknown[] {
  const clientRank = ranks(clientOrder, keyOf);
  const serverRank = ranks(serverOrder, keyOf);
  const rankIn = (rank: ReadonlyMap<unknown, number>) => (item: unknown) =>
    rank.get(keyOf(item)) ?? Number.MAX_SAFE_INTEGER;
  const sorted = (items: readonly unknown[], rank: (item: unknown) => number) =>
    [...items].sort((a, b) => rank(a) - rank(b));

  const named = sorted(
    merged.filter((item) => clientRank.has(keyOf(item))),
    rankIn(clientRank),
  );
  const serverOnly = sorted(
    merged.filter((item) => !clientRank.has(keyOf(item))),
    rankIn(serverRank),
  );
  const result: unknown[] = [];
  let s = 0;
  let n = 0;
  while (s < serverOnly.length && n < named.length) {
    const left = serverRank.get(keyOf(serverOnly[s]));
    const right = serverRank.get(keyOf(named[n]));
    const serverFirst = left !== undefined && right !== undefined && left < right;
    result.push(serverFirst ? serverOnly[s++] : named[n++]);
  }
  return [...result, ...named.slice(n), ...serverOnly.slice(s)];
}

/** The first place of each key. */
function ranks(list: readonly unknown[], keyOf: (item: unknown) => unknown): ReadonlyMap<unknown, number> {
  const rank = new Map<unknown, number>();
  list.forEach((item, i) => {
    const key = keyOf(item);
    if (!rank.has(key)) rank.set(key, i);
  });
  return rank;
}

/** A value as error messages quote it. */
export function scalarText(value: unknown): string {
  return JSON.stringify(value);
}
