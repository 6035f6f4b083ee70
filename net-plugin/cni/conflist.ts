import { CniError, type NetworkConfigList, type PluginConfig, SUPPORTED_VERSIONS } from './types.js';

const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/;
const CONTAINER_ID = /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/;

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Reads a network configuration list (section 1). Throws a CniError of code 6 or 7 that names the key. */
export function parseConflist(text: string): NetworkConfigList {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new CniError(6, 'network configuration is not JSON', (error as Error).message);
  }
  if (!isObject(value)) throw new CniError(6, 'network configuration is not an object');
  const { name, plugins, disableCheck, disableGC } = value;
  if (typeof name !== 'string' || !NAME.test(name)) throw new CniError(7, 'invalid network name', String(name));
  const offered = [value.cniVersion, ...(Array.isArray(value.cniVersions) ? value.cniVersions : [])];
  const cniVersion = [...SUPPORTED_VERSIONS].reverse().find((version) => offered.includes(version));
  if (!cniVersion)
    throw new CniError(
      1,
      'incompatible CNI version',
      `${offered.join(', ')}; known are ${SUPPORTED_VERSIONS.join(', ')}`,
    );
  if (!Array.isArray(plugins) || plugins.length === 0)
    throw new CniError(7, 'plugins: at least one plugin is needed', name);
  for (const [i, plugin] of plugins.entries()) {
    if (!isObject(plugin) || typeof plugin.type !== 'string' || plugin.type === '' || plugin.type.includes('/'))
      throw new CniError(7, `plugins[${i}].type: a plugin's name is needed`, name);
  }
  return {
    name,
    cniVersion,
    disableCheck: asFlag(disableCheck, 'disableCheck'),
    disableGC: asFlag(disableGC, 'disableGC'),
    plugins: plugins as readonly PluginConfig[],
  };
}

/** libcni takes booleans and their names. */
function asFlag(value: unknown, key: string): boolean {
  if (value === undefined) return false;
  const text = String(value).toLowerCase();
  if (text !== 'true' && text !== 'false') throw new CniError(7, `${key}: neither true nor false`, String(value));
  return text === 'true';
}

/** Section 2: what a container id and an interface name may be. Throws a CniError of code 4. */
export function checkInvocation(containerId: string, ifName: string): void {
  if (!CONTAINER_ID.test(containerId)) throw new CniError(4, 'invalid CNI_CONTAINERID', containerId);
  if (ifName === '' || ifName.length > 15 || ifName === '.' || ifName === '..' || /[/:\s]/.test(ifName))
    throw new CniError(4, 'invalid CNI_IFNAME', ifName);
}
