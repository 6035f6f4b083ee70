import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Where a cluster keeps its things. */
export interface Paths {
  readonly data: string;
  readonly store: string;
  readonly pki: string;
  readonly images: string;
  /** Volumes, logs and other files of pods. */
  readonly pods: string;
  /** The network plugin's address reservations. */
  readonly network: string;
  /** Sockets and state of running pods; survives `trimtab`, not the machine. */
  readonly run: string;
  readonly kubeconfig: string;
}

export function pathsOf(dataDir: string): Paths {
  return {
    data: dataDir,
    store: join(dataDir, 'store'),
    pki: join(dataDir, 'pki'),
    images: join(dataDir, 'images'),
    pods: join(dataDir, 'pods'),
    network: join(dataDir, 'network'),
    run: join(dataDir, 'run'),
    kubeconfig: join(dataDir, 'kubeconfig'),
  };
}

/** The native core, built beside its source. */
export const coreBinary = fileURLToPath(
  new URL('../isolation/build/trimtab-core', import.meta.resolve('@trimtab/kubelet-lite')),
);
