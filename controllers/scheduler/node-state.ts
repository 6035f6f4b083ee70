import {
  addQuantities,
  combineAmounts,
  type Node,
  type Pod,
  parseAmounts,
  podRequests,
  type ResourceAmounts,
  subQuantities,
} from '@trimtab/machinery';

/** A node with what is promised to the pods on it: what filters and scores look at. Immutable. */
export interface NodeState {
  readonly node: Node;
  readonly allocatable: ResourceAmounts;
  readonly requested: ResourceAmounts;
  readonly pods: number;
  /** `protocol/hostIP/port` of every host port in use. */
  readonly hostPorts: ReadonlySet<string>;
}

export function nodeState(node: Node, pods: Iterable<Pod> = []): NodeState {
  const empty: NodeState = {
    node,
    allocatable: parseAmounts(node.status?.allocatable),
    requested: new Map(),
    pods: 0,
    hostPorts: new Set(),
  };
  let state = empty;
  for (const pod of pods) if (!isTerminal(pod)) state = withPod(state, pod);
  return state;
}

export function withPod(state: NodeState, pod: Pod): NodeState {
  const ports = hostPortsOf(pod);
  return {
    ...state,
    requested: combineAmounts(state.requested, podRequests(pod), addQuantities),
    pods: state.pods + 1,
    hostPorts: ports.length === 0 ? state.hostPorts : new Set([...state.hostPorts, ...ports.map(portKey)]),
  };
}

export function withoutPod(state: NodeState, pod: Pod): NodeState {
  const gone = new Set(hostPortsOf(pod).map(portKey));
  return {
    ...state,
    requested: combineAmounts(state.requested, podRequests(pod), subQuantities),
    pods: state.pods - 1,
    hostPorts: gone.size === 0 ? state.hostPorts : new Set([...state.hostPorts].filter((port) => !gone.has(port))),
  };
}

export interface HostPort {
  readonly protocol: string;
  readonly hostIP: string;
  readonly port: number;
}

export function hostPortsOf(pod: Pod): readonly HostPort[] {
  return (pod.spec?.containers ?? []).flatMap((container) =>
    (container.ports ?? [])
      .filter((port) => port.hostPort)
      .map((port) => ({ protocol: port.protocol ?? 'TCP', hostIP: port.hostIP ?? '', port: port.hostPort! })),
  );
}

/** Whether a wanted port collides with one in use: an unset address means all of them. */
export function portTaken(used: ReadonlySet<string>, wanted: HostPort): boolean {
  const any = ['', '0.0.0.0', '::'];
  if (any.includes(wanted.hostIP))
    return [...used].some((key) => key.startsWith(`${wanted.protocol}/`) && key.endsWith(`/${wanted.port}`));
  return [wanted.hostIP, ...any].some((hostIP) => used.has(portKey({ ...wanted, hostIP })));
}

const portKey = ({ protocol, hostIP, port }: HostPort): string => `${protocol}/${hostIP}/${port}`;

export const isTerminal = (pod: Pod): boolean => pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed';
