/** Names of the Kubernetes DNS specification 1.1, as label lists. Names are compared in lower case, without the last dot. */

export const SPECIFICATION_VERSION = '1.1.0';
export const TTL_SECONDS = 5;

export const normalize = (name: string): string => name.replace(/\.$/, '').toLowerCase();

/** The labels of `name` before `zone`; undefined when it is not in the zone. `[]` is the zone itself. */
export function labelsBelow(name: string, zone: string): readonly string[] | undefined {
  if (name === zone) return [];
  if (!name.endsWith(`.${zone}`)) return undefined;
  return name.slice(0, -zone.length - 1).split('.');
}

/** The IPv4 or IPv6 address an `in-addr.arpa` or `ip6.arpa` name stands for; undefined for any other name. */
export function addressOfReverseName(name: string): string | undefined {
  const v4 = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.in-addr\.arpa$/.exec(name);
  if (v4) return `${v4[4]}.${v4[3]}.${v4[2]}.${v4[1]}`;
  const v6 = /^((?:[0-9a-f]\.){32})ip6\.arpa$/.exec(name);
  if (!v6) return undefined;
  const digits = v6[1]!.replaceAll('.', '').split('').reverse().join('');
  return digits.replace(/(.{4})(?!$)/g, '$1:');
}

/** `10-1-2-3` for `10.1.2.3`: the name of an endpoint or pod that has none of its own. */
export const dashed = (ip: string): string => ip.replace(/[.:]/g, '-');

/** The inverse of {@link dashed}; undefined when it is not one. */
export function undashed(label: string): string | undefined {
  const v4 = /^(\d{1,3})-(\d{1,3})-(\d{1,3})-(\d{1,3})$/.exec(label);
  if (v4) return v4.slice(1).every((n) => Number(n) <= 255) ? v4.slice(1).join('.') : undefined;
  return /^[0-9a-f-]+$/.test(label) && label.split('-').length >= 3 && label.split('-').length <= 8
    ? label.replaceAll('-', ':')
    : undefined;
}
