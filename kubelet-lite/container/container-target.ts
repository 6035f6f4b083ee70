import type { Container } from '@trimtab/machinery';
import type { Pod } from '../pod/api.js';
import type { ProbeTarget } from '../probes/prober.js';
import { ContainerConfigError } from './container-files.js';

/** What a probe or hook of a container is run against; undefined while it does not run. */
export function probeTarget(
  containerId: string | undefined,
  container: Container,
  home: { readonly sandboxId: string; pod(): Pod; podIPs(): readonly string[] },
  nodeIP: string,
): ProbeTarget | undefined {
  if (!containerId) return undefined;
  const podIP = home.pod().spec.hostNetwork ? nodeIP : (home.podIPs()[0] ?? nodeIP);
  return { sandboxId: home.sandboxId, containerId, container, podIP };
}

/**
 * The process whose PID namespace an ephemeral container asks to see, where the pod's containers do not see each other anyway.
 * Throws where it does not run.
 */
export function joinedPid(pod: Pod, name: string, pidOf: (container: string) => number | undefined) {
  const target = pod.spec.ephemeralContainers?.find((c) => c.name === name)?.targetContainerName;
  if (!target || pod.spec.shareProcessNamespace || pod.spec.hostPID) return {};
  const targetPid = pidOf(target);
  if (targetPid) return { targetPid };
  throw new ContainerConfigError('CreateContainerError', `unable to find target container ${target}: it does not run`);
}
