import type { ContainerState, ContainerStatus, Pod } from '@trimtab/machinery';

/** What the status of a pod that has a node says of how it came to be what it is. */
export function memoryOf(pod: Pod): readonly string[] {
  const { metadata, spec, status } = pod;
  const all = (status?.conditions ?? []).filter(({ status: value }) => value !== 'True');
  const ready = all.find(({ type }) => type === 'Ready');
  // What keeps the pod from being ready is mostly what keeps its containers from it.
  const unmet = all.filter(({ type, message }) => type !== 'ContainersReady' || message !== ready?.message);
  return [
    `pod/${metadata.name} is ${status?.phase ?? 'Unknown'} on node ${spec?.nodeName}.`,
    ...(status?.reason ? [`  ${status.reason}${status.message ? `: ${status.message}` : ''}`] : []),
    ...unmet.flatMap(({ type, reason, message }) => (message ? [`  ${type} is not met (${reason}): ${message}`] : [])),
    ...[...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])].flatMap(containerLines),
  ];
}

function containerLines({ name, state, lastState, restartCount }: ContainerStatus): readonly string[] {
  return [
    `  container ${name}: ${stateText(state)}`,
    ...(restartCount > 0
      ? [`    restarted ${restartCount} time${restartCount === 1 ? '' : 's'}; before that it ${stateText(lastState)}`]
      : []),
  ];
}

export function stateText(state: ContainerState | undefined): string {
  if (state?.running) return `runs since ${state.running.startedAt}`;
  if (state?.waiting)
    return `waits: ${state.waiting.reason}${state.waiting.message ? ` (${state.waiting.message.trim()})` : ''}`;
  if (!state?.terminated) return 'has not been started';
  const { exitCode, signal, reason, message, finishedAt } = state.terminated;
  const how =
    reason === 'OOMKilled'
      ? 'was killed because it used more memory than its limit'
      : signal
        ? `was killed by signal ${signal}`
        : `exited with code ${exitCode}${meaning(exitCode)}`;
  return `${how} at ${finishedAt}${message ? `, saying: ${message}` : ''}`;
}

/** What shells and runtimes mean by it. */
function meaning(exitCode: number): string {
  if (exitCode === 126) return ' (the command cannot be executed)';
  if (exitCode === 127) return ' (the command was not found)';
  if (exitCode > 128 && exitCode < 128 + 65) return ` (signal ${exitCode - 128})`;
  return '';
}
