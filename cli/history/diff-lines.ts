/** Unified differences of texts, by lines (Myers 1986, the shortest edit). Pure. */

interface Edit {
  readonly sign: ' ' | '-' | '+';
  readonly line: string;
}

/** The hunks of a unified diff with three lines around each; empty for equal texts. */
export function unifiedLines(before: readonly string[], after: readonly string[], around = 3): readonly string[] {
  const edits = editsOf(before, after);
  const lines: string[] = [];
  let a = 1;
  let b = 1;
  for (let i = 0; i < edits.length; ) {
    const next = edits.findIndex((edit, at) => at >= i && edit.sign !== ' ');
    if (next < 0) break;
    const from = Math.max(i, next - around);
    let end = next;
    // Changes less than two contexts apart share a hunk.
    for (let quiet = 0; end < edits.length && quiet <= 2 * around; end++)
      quiet = edits[end]!.sign === ' ' ? quiet + 1 : 0;
    while (end > next && edits.slice(Math.max(next, end - around - 1), end).every(({ sign }) => sign === ' ')) end--;
    a += from - i;
    b += from - i;
    const hunk = edits.slice(from, end);
    const was = hunk.filter(({ sign }) => sign !== '+').length;
    const is = hunk.filter(({ sign }) => sign !== '-').length;
    lines.push(`@@ -${spanOf(a, was)} +${spanOf(b, is)} @@`, ...hunk.map(({ sign, line }) => `${sign}${line}`));
    a += was;
    b += is;
    i = end;
  }
  return lines;
}

const spanOf = (start: number, count: number): string =>
  `${count === 0 ? start - 1 : start}${count === 1 ? '' : `,${count}`}`;

function editsOf(a: readonly string[], b: readonly string[]): readonly Edit[] {
  let head = 0;
  while (head < a.length && head < b.length && a[head] === b[head]) head++;
  let tail = 0;
  while (tail < a.length - head && tail < b.length - head && a[a.length - 1 - tail] === b[b.length - 1 - tail]) tail++;
  const same = (line: string): Edit => ({ sign: ' ', line });
  return [
    ...a.slice(0, head).map(same),
    ...shortest(a.slice(head, a.length - tail), b.slice(head, b.length - tail)),
    ...a.slice(a.length - tail).map(same),
  ];
}

function shortest(a: readonly string[], b: readonly string[]): readonly Edit[] {
  const most = a.length + b.length;
  const trace: Map<number, number>[] = [];
  let reach = new Map<number, number>([[1, 0]]);
  for (let d = 0; d <= most; d++) {
    trace.push(new Map(reach));
    const next = new Map(reach);
    for (let k = -d; k <= d; k += 2) {
      const down = k === -d || (k !== d && (next.get(k - 1) ?? 0) < (next.get(k + 1) ?? 0));
      let x = down ? (next.get(k + 1) ?? 0) : (next.get(k - 1) ?? 0) + 1;
      while (x < a.length && x - k < b.length && a[x] === b[x - k]) x++;
      next.set(k, x);
      if (x >= a.length && x - k >= b.length) return backtrack(a, b, trace, d);
    }
    reach = next;
  }
  return [];
}

function backtrack(
  a: readonly string[],
  b: readonly string[],
  trace: readonly ReadonlyMap<number, number>[],
  distance: number,
): readonly Edit[] {
  const edits: Edit[] = [];
  let x = a.length;
  let y = b.length;
  for (let d = distance; d >= 0; d--) {
    const reach = trace[d]!;
    const k = x - y;
    const down = k === -d || (k !== d && (reach.get(k - 1) ?? 0) < (reach.get(k + 1) ?? 0));
    const from = down ? k + 1 : k - 1;
    const fromX = d === 0 ? 0 : (reach.get(from) ?? 0);
    const fromY = d === 0 ? 0 : fromX - from;
    while (x > fromX && y > fromY && x > 0 && y > 0 && a[x - 1] === b[y - 1]) {
      edits.push({ sign: ' ', line: a[--x]! });
      y--;
    }
    if (d === 0) break;
    if (down) edits.push({ sign: '+', line: b[--y]! });
    else edits.push({ sign: '-', line: a[--x]! });
  }
  return edits.reverse();
}
