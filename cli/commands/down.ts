import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { nativeRuntime, podCgroupRoots, releaseMemory, stopPods } from '@trimtab/kubelet-lite';
import { silentLogger, systemClock } from '@trimtab/machinery';
import { removeNetwork } from '@trimtab/net-plugin';
import { directoryHolder } from '@trimtab/store';
import { type ClusterFile, readClusterFile } from '../cluster-file.js';
import { coreBinary } from '../core-binary.js';
import { CliError } from '../errors.js';
import { type Paths, pathsOf } from '../paths.js';

/** How long a running `trimtab up` has to stop. */
const PATIENCE_MS = 60_000;

/** Stops the cluster of a data directory, also when only its pods are left of it. */
export async function down({ dataDir }: { readonly dataDir: string }): Promise<void> {
  const paths = pathsOf(resolve(dataDir));
  const pid = directoryHolder(paths.store);
  if (pid !== undefined) {
    process.kill(pid, 'SIGTERM');
    if (!(await gone(paths, pid))) throw new CliError(`process ${pid} does not stop; end it with: kill -9 ${pid}`);
  }
  const file = readClusterFile(paths);
  const sweepable = file && existsSync(paths.run) && existsSync(coreBinary) && process.getuid?.() === 0;
  const pods = sweepable ? await sweep(paths, file) : 0;
  if (pid !== undefined) console.log('stopped');
  else console.log(pods > 0 ? `stopped ${pods} pods that were left` : `nothing runs from ${paths.data}`);
}

/** Pods outlive a killed `trimtab`; here they end. Gives how many there were. */
async function sweep(paths: Paths, { podCidr }: ClusterFile): Promise<number> {
  const runtime = await nativeRuntime({ coreBinary, runDir: paths.run, logger: silentLogger, clock: systemClock });
  try {
    const left = (await runtime.list()).length;
    await stopPods(runtime, systemClock, 3_000);
    await removeNetwork({ kernel: runtime.core, stateDir: paths.network, podCidr });
    await releaseMemory(paths.pods, runtime.volumeMounts);
    await runtime.core.request('core.exit', { emptyGroups: podCgroupRoots }).catch(() => {});
    return left;
  } finally {
    await runtime.close();
  }
}

async function gone(paths: Paths, pid: number): Promise<boolean> {
  for (const end = performance.now() + PATIENCE_MS; performance.now() < end; await sleep(50))
    if (directoryHolder(paths.store) !== pid) return true;
  return false;
}
