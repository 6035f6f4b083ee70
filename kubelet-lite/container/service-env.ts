import type { Service } from '@trimtab/machinery';

/** The services a pod is told of through its environment: those of its namespace, and the API server's always. */
export function servicesFor(services: readonly Service[], namespace: string, links: boolean): readonly Service[] {
  return services.filter(({ metadata, spec }) => {
    if (!spec?.clusterIP || spec.clusterIP === 'None' || !spec.ports?.length) return false;
    const master = metadata.namespace === 'default' && metadata.name === 'kubernetes';
    if (master) return true;
    return links && metadata.namespace === namespace;
  });
}

const variable = (text: string): string => text.toUpperCase().replaceAll('-', '_');

/** `{NAME}_SERVICE_HOST`, `_SERVICE_PORT[_{PORT NAME}]`, and the variables of old container links. */
export function serviceEnv(services: readonly Service[]): ReadonlyMap<string, string> {
  const env = new Map<string, string>();
  for (const { metadata, spec } of services) {
    const name = variable(metadata.name ?? '');
    const ip = spec?.clusterIP ?? '';
    const host = ip.includes(':') ? `[${ip}]` : ip;
    const ports = spec?.ports ?? [];
    env.set(`${name}_SERVICE_HOST`, ip);
    env.set(`${name}_SERVICE_PORT`, String(ports[0]?.port ?? ''));
    for (const port of ports) if (port.name) env.set(`${name}_SERVICE_PORT_${variable(port.name)}`, String(port.port));
    ports.forEach((port, index) => {
      const protocol = (port.protocol ?? 'TCP').toUpperCase();
      const url = `${protocol.toLowerCase()}://${host}:${port.port}`;
      const prefix = `${name}_PORT_${port.port}_${protocol}`;
      if (index === 0) env.set(`${name}_PORT`, url);
      env.set(prefix, url);
      env.set(`${prefix}_PROTO`, protocol.toLowerCase());
      env.set(`${prefix}_PORT`, String(port.port));
      env.set(`${prefix}_ADDR`, ip);
    });
  }
  return env;
}
