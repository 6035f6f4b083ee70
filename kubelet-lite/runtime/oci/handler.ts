/** A runtime handler: an OCI runtime of this machine under the name that RuntimeClasses call it by. */
export interface OciHandler {
  readonly name: string;
  /** Absolute path of its program. */
  readonly binary: string;
  /**
   * `inherited`: its containers stay in the groups they are started in, which have their limits already. `own`: it makes a
   * group below those, for runtimes that cannot do without.
   */
  readonly cgroups: 'inherited' | 'own';
}

/** `NAME=/path/of/program`; throws for anything else. Of the known runtimes only crun can leave cgroups alone. */
export function parseHandler(text: string): OciHandler {
  const match = /^([a-z0-9]([-a-z0-9.]*[a-z0-9])?)=(\/.+)$/.exec(text);
  if (!match) throw new Error(`"${text}" is not of the form NAME=/path/of/program`);
  const [, name = '', , binary = ''] = match;
  return { name, binary, cgroups: /(^|\/)crun[^/]*$/.test(binary) ? 'inherited' : 'own' };
}

/** The words before the command of every call. */
export function callOf(handler: OciHandler, stateDir: string): readonly string[] {
  const cgroups = handler.cgroups === 'inherited' ? ['--cgroup-manager=disabled'] : [];
  return [handler.binary, ...cgroups, '--root', stateDir];
}
