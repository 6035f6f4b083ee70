import { join } from 'node:path';

/** Where a cluster keeps its things. */
export interface Paths {
  readonly data: string;
  readonly store: string;
  readonly pki: string;
  readonly images: string;
  /** Volumes, logs and other files of pods. */
  readonly pods: string;
  /** Persistent volumes of the local node. */
  readonly volumes: string;
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
    volumes: join(dataDir, 'volumes'),
    network: join(dataDir, 'network'),
    run: join(dataDir, 'run'),
    kubeconfig: join(dataDir, 'kubeconfig'),
  };
}

/** Where a cluster is kept unless `--data-dir` says otherwise. */
export function defaultDataDir(): string {
  const { TRIMTAB_DATA_DIR, XDG_DATA_HOME, HOME = '.' } = process.env;
  if (TRIMTAB_DATA_DIR) return TRIMTAB_DATA_DIR;
  return process.getuid?.() === 0
    ? '/var/lib/trimtab'
    : join(XDG_DATA_HOME ?? join(HOME, '.local', 'share'), 'trimtab');
}
