import { isIP, isIPv4, isIPv6 } from 'node:net';

/** String formats custom kinds may name (go-openapi strfmt, as apiextensions lists them); unknown ones are not checked. */
const FORMATS: Readonly<Record<string, (text: string) => boolean>> = {
  'date-time': (t) =>
    /^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:?\d\d)$/.test(t) && !Number.isNaN(Date.parse(t)),
  datetime: (t) => FORMATS['date-time']!(t),
  date: (t) => /^\d{4}-\d\d-\d\d$/.test(t) && !Number.isNaN(Date.parse(t)),
  duration: (t) =>
    /^-?(\d+(\.\d+)?(ns|us|µs|ms|s|m|h|d|w))+$/.test(t) ||
    /^\d+ (nanoseconds?|seconds?|minutes?|hours?|days?|weeks?)$/.test(t),
  byte: (t) => /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(t),
  email: (t) => /^[^\s@]+@[^\s@]+$/.test(t),
  hostname: (t) =>
    t.length <= 253 &&
    /^([a-zA-Z0-9]([-a-zA-Z0-9]{0,61}[a-zA-Z0-9])?\.)*[a-zA-Z0-9]([-a-zA-Z0-9]{0,61}[a-zA-Z0-9])?\.?$/.test(t),
  ipv4: isIPv4,
  ipv6: isIPv6,
  cidr: (t) => {
    const [address = '', bits = ''] = t.split('/');
    return /^\d{1,3}$/.test(bits) && isIP(address) !== 0 && Number(bits) <= (isIPv4(address) ? 32 : 128);
  },
  mac: (t) => /^([\da-fA-F]{2}[:-]){5}[\da-fA-F]{2}$/.test(t),
  uri: (t) => URL.canParse(t),
  uuid: (t) => /^[\da-fA-F]{8}-?[\da-fA-F]{4}-?[\da-fA-F]{4}-?[\da-fA-F]{4}-?[\da-fA-F]{12}$/.test(t),
  uuid3: (t) => /^[\da-fA-F]{8}-?[\da-fA-F]{4}-?3[\da-fA-F]{3}-?[\da-fA-F]{4}-?[\da-fA-F]{12}$/.test(t),
  uuid4: (t) => /^[\da-fA-F]{8}-?[\da-fA-F]{4}-?4[\da-fA-F]{3}-?[89abAB][\da-fA-F]{3}-?[\da-fA-F]{12}$/.test(t),
  uuid5: (t) => /^[\da-fA-F]{8}-?[\da-fA-F]{4}-?5[\da-fA-F]{3}-?[89abAB][\da-fA-F]{3}-?[\da-fA-F]{12}$/.test(t),
};

export function hasFormat(format: string, text: string): boolean {
  return !Object.hasOwn(FORMATS, format) || FORMATS[format]!(text);
}
