import { fileURLToPath } from 'node:url';

/** The native core, built beside its source. */
export const coreBinary = fileURLToPath(
  new URL('../isolation/build/trimtab-core', import.meta.resolve('@trimtab/kubelet-lite')),
);
