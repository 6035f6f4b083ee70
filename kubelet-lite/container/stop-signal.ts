import { constants } from 'node:os';
import type { Container } from '@trimtab/machinery';
import type { ImageConfig } from '../images/image-store.js';

const BY_NUMBER = new Map(Object.entries(constants.signals).map(([name, number]) => [number, name]));

/** What ends the container: its own stop signal, its image's, or SIGTERM. Images may say it in numbers, or without `SIG`. */
export function stopSignalOf(
  container: Pick<Container, 'lifecycle'>,
  image: Pick<ImageConfig, 'StopSignal'> = {},
): string {
  const signal = (container.lifecycle?.stopSignal ?? image.StopSignal)?.trim().toUpperCase();
  if (!signal) return 'SIGTERM';
  if (/^\d+$/.test(signal)) return BY_NUMBER.get(Number(signal)) ?? signal;
  return signal.startsWith('SIG') ? signal : `SIG${signal}`;
}
