const OURS = /node:internal|[\\/](?:node_modules|controllers[\\/]framework)[\\/]/;

/** The place in the author's own code that an error was thrown from, as `reconcile (site.ts:12:40)`; undefined where none is. */
export function whereThrown(error: Error): string | undefined {
  const frame = error.stack
    ?.split('\n')
    .map((line) => line.trim())
    .find((line) => line.startsWith('at ') && !OURS.test(line));
  const [, name, file, line, column] =
    /^at (?:(?:async )?(\S+) \()?(?:.*[\\/])?([^\\/]+?):(\d+):(\d+)\)?$/.exec(frame ?? '') ?? [];
  if (file === undefined) return undefined;
  const at = `${file}:${line}:${column}`;
  return name === undefined ? at : `${name.replace(/^Object\./, '')} (${at})`;
}
