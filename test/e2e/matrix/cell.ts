/** One command of the matrix and what a user knows it answers. */
export interface Cell {
  /**
   * The arguments as one types them: words between blanks, 'quoted' where a word has blanks. `$NS` is the namespace of this
   * kubectl (also the suffix of what has no namespace), `$NODE` a node nobody else drains, `$DIR` its folder of manifests.
   */
  readonly command: string;
  /** The exit code; 0 where absent. */
  readonly code?: number;
  /** All of them match standard output; a text is the whole of it. */
  readonly out?: string | RegExp | readonly RegExp[];
  /** Matches standard error; where absent and the exit code is 0, there is none. */
  readonly err?: string | RegExp;
  readonly input?: string | object;
  readonly env?: Readonly<Record<string, string>>;
  /** The versions this holds for, all where absent: what kubectl learned or said differently later. */
  readonly only?: (minor: number) => boolean;
  /** Asked again until it holds: what a controller brings about. */
  readonly eventually?: true;
  /** Runs until its output matches, then is interrupted. */
  readonly until?: RegExp;
  /** Run while `until`'s command runs, again and again; `$COUNT` is another number each time. */
  readonly meanwhile?: string;
}

/** What the server says to those who still read Endpoints, as kubectl did until 1.30. */
export const OLD_READER = /^$|^Warning: v1 Endpoints is deprecated in v1\.33\+/;

/** Words between blanks; single quotes hold blanks together. */
export function words(command: string): string[] {
  return [...command.matchAll(/(?:'[^']*'|[^\s'])+/g)].map(([word]) => word.replaceAll("'", ''));
}

/** The first thing that is not as it should be, or nothing. */
export function wrong(cell: Cell, ran: { code: number; stdout: string; stderr: string }): string | undefined {
  const all = `\nstandard output:\n${ran.stdout}\nstandard error:\n${ran.stderr}`;
  if (ran.code !== (cell.code ?? 0)) return `ended with ${ran.code} instead of ${cell.code ?? 0}${all}`;
  const out = cell.out === undefined ? [] : Array.isArray(cell.out) ? cell.out : [cell.out];
  for (const expected of out) if (!says(ran.stdout, expected)) return `standard output is not ${expected}${all}`;
  if (cell.err !== undefined && !says(ran.stderr, cell.err)) return `standard error is not ${cell.err}${all}`;
  if (cell.err === undefined && ran.code === 0 && ran.stderr !== '') return `there is standard error${all}`;
  return undefined;
}

const says = (text: string, expected: string | RegExp): boolean =>
  typeof expected === 'string' ? text.trimEnd() === expected : expected.test(text);
