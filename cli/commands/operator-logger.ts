import type { Logger } from '@trimtab/machinery';

/** What an operator says, one line each, on standard error. */
export function operatorLogger(bindings: object = {}): Logger {
  const say = (level: string) => (fields: object, message: string) => {
    const known = Object.entries({ ...bindings, ...fields }).filter(([, value]) => value !== undefined);
    const text = known.map(([name, value]) => `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`);
    process.stderr.write(`${level} ${message} ${text.join(' ')}\n`);
  };
  return {
    debug: () => {},
    info: say('info '),
    warn: say('warn '),
    error: say('error'),
    child: (more) => operatorLogger({ ...bindings, ...more }),
  };
}
