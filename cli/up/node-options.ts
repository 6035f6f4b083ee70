import { existsSync } from 'node:fs';
import { type BackOff, type OciHandler, parseBackOff, parseHandler } from '@trimtab/kubelet-lite';
import { CliError } from '../errors.js';
import type { UpOptions } from './options.js';

/** Where Debian puts them. */
const KNOWN_RUNTIMES = ['crun=/usr/bin/crun', 'runc=/usr/sbin/runc', 'runc=/usr/bin/runc'];

/** `--restart-back-off`; throws CliError naming the option. */
export function restartBackOff({ restartBackOff: text = 'fast' }: UpOptions): BackOff {
  const backOff = parseBackOff(text);
  if (backOff) return backOff;
  throw new CliError(`--restart-back-off ${text}: fast, kubernetes, or the first and the last wait, such as 1s..60s`);
}

/** `--runtime-handler`, else the runtimes that are there; throws CliError for one that is not. */
export function runtimeHandlers({ runtimeHandler: asked = [] }: UpOptions): readonly OciHandler[] {
  if (asked.length === 0) {
    const present = KNOWN_RUNTIMES.map(parseHandler).filter(({ binary }) => existsSync(binary));
    return present.filter(({ name }, index) => present.findIndex((other) => other.name === name) === index);
  }
  return asked.map((text) => {
    try {
      const handler = parseHandler(text);
      if (existsSync(handler.binary)) return handler;
      throw new Error(`there is no ${handler.binary}`);
    } catch (error) {
      throw new CliError(`--runtime-handler ${text}: ${error instanceof Error ? error.message : error}`);
    }
  });
}
