/** An error whose message is meant for the person at the terminal: printed as it is, without a stack. */
export class CliError extends Error {
  constructor(
    message: string,
    readonly exitCode = 1,
  ) {
    super(message);
    this.name = 'CliError';
  }
}

/** Errors whose own words say what, where and how to mend; everything else is a bug and shows its stack. */
const SPOKEN = new Set([
  'CliError',
  'ChartError',
  'DirectoryInUseError',
  'ImageError',
  'LayerError',
  'RuntimeError',
  'StatusError',
  'StoreFailedError',
  'TemplateError',
  'YamlError',
]);

export function fail(error: unknown): never {
  const known = error instanceof Error && (SPOKEN.has(error.name) || 'syscall' in error);
  if (error instanceof Error) process.stderr.write(`error: ${known ? error.message : error.stack}\n`);
  else process.stderr.write(`error: ${String(error)}\n`);
  process.exit(error instanceof CliError ? error.exitCode : 1);
}
