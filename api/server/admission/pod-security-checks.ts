import type { Container, Pod, PodSpec, Volume } from '@trimtab/machinery';

/**
 * The Pod Security Standards, check by check (kubernetes: pod-security-admission/policy). A check gives what is wrong in the
 * words Kubernetes uses, or undefined. Pods for Windows are let off where the standard lets them off.
 */
export type PodCheck = (pod: Pick<Pod, 'metadata' | 'spec'>) => string | undefined;

const containersOf = (spec: PodSpec): readonly Container[] => [
  ...(spec.initContainers ?? []),
  ...(spec.containers ?? []),
  ...((spec.ephemeralContainers ?? []) as readonly Container[]),
];

const quote = (names: readonly string[]): string => names.map((n) => JSON.stringify(n)).join(', ');
const plural = (count: number, one: string, many = `${one}s`): string => (count === 1 ? one : many);
const named = (bad: readonly Container[]): string =>
  `${plural(bad.length, 'container')} ${quote(bad.map((c) => c.name))}`;

/** A check of every container: the title, and what those that fail have to do. */
function eachContainer(title: string, fails: (container: Container, spec: PodSpec) => boolean, must: string): PodCheck {
  return ({ spec }) => {
    const bad = spec ? containersOf(spec).filter((c) => fails(c, spec)) : [];
    return bad.length > 0 ? `${title} (${named(bad)} must ${must})` : undefined;
  };
}

const isWindows: PodCheck = ({ spec }) => (spec?.os?.name === 'windows' ? 'windows' : undefined);
const notOnWindows =
  (check: PodCheck): PodCheck =>
  (pod) =>
    isWindows(pod) ? undefined : check(pod);

const baselineCapabilities = new Set([
  'AUDIT_WRITE',
  'CHOWN',
  'DAC_OVERRIDE',
  'FOWNER',
  'FSETID',
  'KILL',
  'MKNOD',
  'NET_BIND_SERVICE',
  'SETFCAP',
  'SETGID',
  'SETPCAP',
  'SETUID',
  'SYS_CHROOT',
]);

/** By the minor version of Kubernetes that found them safe. */
const safeSysctls: readonly (readonly [since: number, names: readonly string[]])[] = [
  [
    0,
    [
      'kernel.shm_rmid_forced',
      'net.ipv4.ip_local_port_range',
      'net.ipv4.ip_unprivileged_port_start',
      'net.ipv4.ping_group_range',
      'net.ipv4.tcp_syncookies',
    ],
  ],
  [27, ['net.ipv4.ip_local_reserved_ports']],
  [
    29,
    [
      'net.ipv4.tcp_fin_timeout',
      'net.ipv4.tcp_keepalive_intvl',
      'net.ipv4.tcp_keepalive_probes',
      'net.ipv4.tcp_keepalive_time',
    ],
  ],
  [32, ['net.ipv4.tcp_rmem', 'net.ipv4.tcp_wmem']],
];

const selinuxTypes = new Set(['', 'container_t', 'container_init_t', 'container_kvm_t']);
const selinuxTypesSince31 = new Set([...selinuxTypes, 'container_engine_t']);

const hostNamespaces: PodCheck = ({ spec }) => {
  const used = (['hostNetwork', 'hostPID', 'hostIPC'] as const).filter((field) => spec?.[field]);
  return used.length > 0 ? `host namespaces (${used.map((field) => `${field}=true`).join(', ')})` : undefined;
};

const hostPathVolumes: PodCheck = ({ spec }) => {
  const bad = (spec?.volumes ?? []).filter((v) => v.hostPath);
  return bad.length > 0
    ? `hostPath volumes (${plural(bad.length, 'volume')} ${quote(bad.map((v) => v.name))})`
    : undefined;
};

const hostPorts: PodCheck = ({ spec }) => {
  const bad = spec ? containersOf(spec).filter((c) => c.ports?.some((p) => p.hostPort)) : [];
  const ports = [...new Set(bad.flatMap((c) => (c.ports ?? []).flatMap((p) => (p.hostPort ? [p.hostPort] : []))))].sort(
    (a, b) => a - b,
  );
  return bad.length > 0
    ? `hostPort (${named(bad)} ${plural(bad.length, 'uses', 'use')} ${plural(ports.length, 'hostPort')} ${ports.join(', ')})`
    : undefined;
};

const appArmor: PodCheck = ({ metadata, spec }) => {
  const fields = [
    ...(spec?.securityContext?.appArmorProfile?.type === 'Unconfined' ? ['pod'] : []),
    ...(spec ? containersOf(spec) : [])
      .filter((c) => c.securityContext?.appArmorProfile?.type === 'Unconfined')
      .map((c) => `container ${JSON.stringify(c.name)}`),
  ];
  if (fields.length > 0)
    return `appArmorProfile (${fields.join(', ')} must not set AppArmor profile type to "Unconfined")`;
  const annotations = Object.entries(metadata.annotations ?? {})
    .filter(
      ([key, value]) =>
        key.startsWith('container.apparmor.security.beta.kubernetes.io/') &&
        value !== '' &&
        value !== 'runtime/default' &&
        !value.startsWith('localhost/'),
    )
    .map(([key, value]) => `"${key}=${value}"`);
  return annotations.length > 0
    ? `forbidden AppArmor ${plural(annotations.length, 'profile')} (${annotations.sort().join(', ')})`
    : undefined;
};

const seLinux =
  (types: ReadonlySet<string>): PodCheck =>
  ({ spec }) => {
    const all = [
      { who: 'pod', options: spec?.securityContext?.seLinuxOptions },
      ...(spec ? containersOf(spec) : []).map((c) => ({
        who: `container ${JSON.stringify(c.name)}`,
        options: c.securityContext?.seLinuxOptions,
      })),
    ];
    const bad = all.filter(
      ({ options }) => options && (!types.has(options.type ?? '') || options.user || options.role),
    );
    return bad.length > 0
      ? `seLinuxOptions (${bad.map((b) => b.who).join(', ')} set forbidden securityContext.seLinuxOptions)`
      : undefined;
  };

const sysctls = (minor: number): PodCheck => {
  const safe = new Set(safeSysctls.flatMap(([since, names]) => (minor >= since ? names : [])));
  return ({ spec }) => {
    const bad = (spec?.securityContext?.sysctls ?? []).map((s) => s.name).filter((name) => !safe.has(name));
    return bad.length > 0 ? `forbidden sysctls (${bad.join(', ')})` : undefined;
  };
};

const unconfinedSeccomp: PodCheck = ({ spec }) => {
  const bad = [
    ...(spec?.securityContext?.seccompProfile?.type === 'Unconfined' ? ['pod'] : []),
    ...(spec ? containersOf(spec) : [])
      .filter((c) => c.securityContext?.seccompProfile?.type === 'Unconfined')
      .map((c) => `container ${JSON.stringify(c.name)}`),
  ];
  return bad.length > 0
    ? `seccompProfile (${bad.join(', ')} must not set securityContext.seccompProfile.type to "Unconfined")`
    : undefined;
};

/** Before containers had a field for it. */
const unconfinedSeccompAnnotations: PodCheck = ({ metadata }) => {
  const bad = Object.entries(metadata.annotations ?? {})
    .filter(
      ([key, value]) =>
        value === 'unconfined' &&
        (key === 'seccomp.security.alpha.kubernetes.io/pod' ||
          key.startsWith('container.seccomp.security.alpha.kubernetes.io/')),
    )
    .map(([key]) => key)
    .sort();
  return bad.length > 0 ? `seccompProfile (forbidden ${plural(bad.length, 'annotation')} ${quote(bad)})` : undefined;
};

const windowsHostProcess: PodCheck = ({ spec }) => {
  const bad = [
    ...(spec?.securityContext?.windowsOptions?.hostProcess ? ['pod'] : []),
    ...(spec ? containersOf(spec) : [])
      .filter((c) => c.securityContext?.windowsOptions?.hostProcess)
      .map((c) => `container ${JSON.stringify(c.name)}`),
  ];
  return bad.length > 0
    ? `hostProcess (${bad.join(', ')} must not set securityContext.windowsOptions.hostProcess=true)`
    : undefined;
};

const addedBeyond =
  (allowed: ReadonlySet<string>) =>
  (container: Container): readonly string[] =>
    (container.securityContext?.capabilities?.add ?? []).filter((name) => !allowed.has(name));

const baselineCapability: PodCheck = ({ spec }) => {
  const beyond = addedBeyond(baselineCapabilities);
  const bad = spec ? containersOf(spec).filter((c) => beyond(c).length > 0) : [];
  const names = [...new Set(bad.flatMap(beyond))].sort();
  return bad.length > 0
    ? `non-default capabilities (${named(bad)} must not include ${quote(names)} in securityContext.capabilities.add)`
    : undefined;
};

/** The check belongs to the standards of the minor versions from `since` on, and before `before`. */
interface Versioned {
  readonly check: PodCheck;
  readonly since?: number;
  readonly before?: number;
}

const always = (check: PodCheck): Versioned => ({ check });

const baselineOnly = {
  capabilities: always(baselineCapability),
  hostPath: always(hostPathVolumes),
  seccomp: { check: unconfinedSeccomp, since: 19 },
  seccompAnnotations: { check: unconfinedSeccompAnnotations, before: 19 },
};

const baselineChecks = (minor: number): readonly Versioned[] => [
  always(hostNamespaces),
  always(
    eachContainer(
      'privileged',
      (c) => c.securityContext?.privileged === true,
      'not set securityContext.privileged=true',
    ),
  ),
  baselineOnly.capabilities,
  baselineOnly.hostPath,
  always(hostPorts),
  always(appArmor),
  always(seLinux(minor >= 31 ? selinuxTypesSince31 : selinuxTypes)),
  always(
    eachContainer(
      'procMount',
      (c, spec) => (c.securityContext?.procMount ?? 'Default') !== 'Default' && spec.hostUsers !== false,
      'not set securityContext.procMount to "Unmasked"',
    ),
  ),
  baselineOnly.seccomp,
  baselineOnly.seccompAnnotations,
  always(sysctls(minor)),
  always(windowsHostProcess),
];

const restrictedVolumeTypes: readonly (keyof Volume)[] = [
  'configMap',
  'csi',
  'downwardAPI',
  'emptyDir',
  'ephemeral',
  'image',
  'persistentVolumeClaim',
  'projected',
  'secret',
];

const restrictedVolumes: PodCheck = ({ spec }) => {
  const typeOf = (volume: Volume) => Object.keys(volume).find((key) => key !== 'name') ?? 'unknown';
  const bad = (spec?.volumes ?? []).filter((v) => !restrictedVolumeTypes.some((type) => v[type] !== undefined));
  const types = [...new Set(bad.map(typeOf))].sort();
  return bad.length > 0
    ? `restricted volume types (${plural(bad.length, 'volume')} ${quote(bad.map((v) => v.name))} ${plural(bad.length, 'uses', 'use')} restricted volume ${plural(types.length, 'type')} ${quote(types)})`
    : undefined;
};

const runAsNonRoot: PodCheck = ({ spec }) => {
  const pod = spec?.securityContext?.runAsNonRoot;
  const all = spec ? containersOf(spec) : [];
  const explicit = all.filter((c) => c.securityContext?.runAsNonRoot === false);
  const bad = [...(pod === false ? ['pod'] : []), ...(explicit.length > 0 ? [named(explicit)] : [])];
  if (bad.length > 0)
    return `runAsNonRoot != true (${bad.join(' and ')} must not set securityContext.runAsNonRoot=false)`;
  const silent = all.filter((c) => c.securityContext?.runAsNonRoot === undefined);
  if (pod === true || silent.length === 0) return undefined;
  return `runAsNonRoot != true (pod or ${named(silent)} must set securityContext.runAsNonRoot=true)`;
};

const runAsUser: PodCheck = ({ spec }) => {
  const bad = [
    ...(spec?.securityContext?.runAsUser === 0 ? ['pod'] : []),
    ...(spec ? containersOf(spec) : [])
      .filter((c) => c.securityContext?.runAsUser === 0)
      .map((c) => `container ${JSON.stringify(c.name)}`),
  ];
  return bad.length > 0 ? `runAsUser=0 (${bad.join(', ')} must not set runAsUser=0)` : undefined;
};

const confined = new Set(['RuntimeDefault', 'Localhost']);

const restrictedSeccomp: PodCheck = ({ spec }) => {
  const pod = spec?.securityContext?.seccompProfile?.type;
  const all = spec ? containersOf(spec) : [];
  const wrong = all.filter(
    (c) => c.securityContext?.seccompProfile && !confined.has(c.securityContext.seccompProfile.type),
  );
  const bad = [...(pod === 'Unconfined' ? ['pod'] : []), ...(wrong.length > 0 ? [named(wrong)] : [])];
  if (bad.length > 0)
    return `seccompProfile (${bad.join(' and ')} must not set securityContext.seccompProfile.type to "Unconfined")`;
  const silent = all.filter((c) => !c.securityContext?.seccompProfile);
  if (silent.length === 0 || confined.has(pod ?? '')) return undefined;
  return `seccompProfile (pod or ${named(silent)} must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost")`;
};

const restrictedCapabilities: PodCheck = ({ spec }) => {
  const all = spec ? containersOf(spec) : [];
  const beyond = addedBeyond(new Set(['NET_BIND_SERVICE']));
  const keeps = all.filter((c) => !c.securityContext?.capabilities?.drop?.includes('ALL'));
  const adds = all.filter((c) => beyond(c).length > 0);
  const parts = [
    ...(keeps.length > 0 ? [`${named(keeps)} must set securityContext.capabilities.drop=["ALL"]`] : []),
    ...(adds.length > 0
      ? [
          `${named(adds)} must not include ${quote([...new Set(adds.flatMap(beyond))].sort())} in securityContext.capabilities.add`,
        ]
      : []),
  ];
  return parts.length > 0 ? `unrestricted capabilities (${parts.join('; ')})` : undefined;
};

const privilegeEscalation = eachContainer(
  'allowPrivilegeEscalation != false',
  (c) => c.securityContext?.allowPrivilegeEscalation !== false,
  'set securityContext.allowPrivilegeEscalation=false',
);

/** Pods for Windows, which know none of these, are let off since their standards can tell them apart. */
const sinceWindows = (minor: number, check: PodCheck): PodCheck => (minor >= 25 ? notOnWindows(check) : check);

const restrictedChecks = (minor: number): readonly Versioned[] => [
  ...baselineChecks(minor).filter(
    (each) =>
      !([baselineOnly.hostPath] as readonly Versioned[]).includes(each) &&
      !(minor >= 22 && each === baselineOnly.capabilities) &&
      !(minor >= 19 && each === baselineOnly.seccomp),
  ),
  always(restrictedVolumes),
  { check: sinceWindows(minor, privilegeEscalation), since: 8 },
  { check: sinceWindows(minor, restrictedCapabilities), since: 22 },
  always(runAsNonRoot),
  { check: runAsUser, since: 23 },
  { check: sinceWindows(minor, restrictedSeccomp), since: 19 },
];

export type PodSecurityLevel = 'privileged' | 'baseline' | 'restricted';

const known = new Map<string, readonly PodCheck[]>();

/** The checks of a level in the standards of Kubernetes 1.`minor`. */
export function checksOf(level: PodSecurityLevel, minor: number): readonly PodCheck[] {
  if (level === 'privileged') return [];
  const key = `${level}/${minor}`;
  let checks = known.get(key);
  if (!checks) {
    const versioned = level === 'baseline' ? baselineChecks(minor) : restrictedChecks(minor);
    checks = versioned
      .filter(({ since = 0, before = Number.POSITIVE_INFINITY }) => minor >= since && minor < before)
      .map(({ check }) => check);
    known.set(key, checks);
  }
  return checks;
}
