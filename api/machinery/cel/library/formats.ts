import { type Definition, traverse } from '../overload.js';
import { parseDate, parseTimestamp } from '../time.js';
import { CelOpaque, CelOptional, NativeList } from '../values.js';

const LABEL = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;
const LABEL_1035 = /^[a-z]([-a-z0-9]*[a-z0-9])?$/;
const SUBDOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const VALUE = /^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$/;

type Check = (text: string) => readonly string[];

const pattern =
  (regex: RegExp, max: number, what: string): Check =>
  (text) => [
    ...(text.length > max ? [`must be no more than ${max} ${max === 1 ? 'byte' : 'bytes'}`] : []),
    ...(regex.test(text) ? [] : [what]),
  ];

const LABEL_TEXT =
  "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const LABEL_1035_TEXT =
  "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";
const SUBDOMAIN_TEXT =
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const VALUE_TEXT =
  "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";

const label = pattern(LABEL, 63, LABEL_TEXT);
const subdomain = pattern(SUBDOMAIN, 253, SUBDOMAIN_TEXT);
const label1035 = pattern(LABEL_1035, 63, LABEL_1035_TEXT);
/** Names to which something is appended may end in a dash. */
const prefix =
  (check: Check): Check =>
  (text) =>
    check(text.endsWith('-') && text.length > 1 ? `${text.slice(0, -1)}a` : text);

const QUALIFIED_TEXT =
  "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";

function qualifiedName(text: string): readonly string[] {
  const parts = text.split('/');
  if (parts.length > 2)
    return [
      "a qualified name must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')",
    ];
  const name = parts.at(-1)!;
  const found: string[] = [];
  if (parts.length === 2) {
    if (parts[0] === '') found.push('prefix part must be non-empty');
    else found.push(...subdomain(parts[0]!).map((message) => `prefix part ${message}`));
  }
  if (name === '') found.push('name part must be non-empty');
  else if (name.length > 63) found.push('name part must be no more than 63 bytes');
  if (name !== '' && !VALUE.test(name)) found.push(QUALIFIED_TEXT);
  return found;
}

const CHECKS: Readonly<Record<string, Check>> = {
  dns1123Label: label,
  dns1123Subdomain: subdomain,
  dns1035Label: label1035,
  qualifiedName,
  dns1123LabelPrefix: prefix(label),
  dns1123SubdomainPrefix: prefix(subdomain),
  dns1035LabelPrefix: prefix(label1035),
  labelValue: pattern(VALUE, 63, VALUE_TEXT),
  uri: (text) => (/^[A-Za-z][A-Za-z0-9+.-]*:[^\s]*$|^\/[^\s]*$/.test(text) ? [] : ['invalid URI']),
  uuid: (text) =>
    /^[\da-fA-F]{8}-?[\da-fA-F]{4}-?[\da-fA-F]{4}-?[\da-fA-F]{4}-?[\da-fA-F]{12}$/.test(text)
      ? []
      : ['does not match the UUID format'],
  byte: (text) =>
    /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(text) ? [] : ['invalid base64'],
  date: (text) => (parseDate(text) ? [] : ['invalid date']),
  datetime: (text) => (parseTimestamp(text) ? [] : ['invalid datetime']),
};

class NamedFormat extends CelOpaque {
  override readonly type = 'kubernetes.NamedFormat';
  constructor(readonly name: string) {
    super();
  }
  override equals(other: CelOpaque): boolean {
    return other instanceof NamedFormat && other.name === this.name;
  }
}

/** kubernetes/apiserver pkg/cel/library format. */
export const formats: readonly Definition[] = [
  ...Object.keys(CHECKS).map(
    (name): Definition => [`format.${name}(): kubernetes.NamedFormat`, () => new NamedFormat(name)],
  ),
  [
    'format.named(string): optional<kubernetes.NamedFormat>',
    (name: string) => (Object.hasOwn(CHECKS, name) ? new CelOptional(new NamedFormat(name)) : CelOptional.none),
  ],
  [
    'kubernetes.NamedFormat.validate(string): optional<list<string>>',
    ({ name }: NamedFormat, text: string) => {
      const found = CHECKS[name]!(text);
      return found.length === 0 ? CelOptional.none : new CelOptional(new NativeList(found));
    },
    { cost: (_, text) => traverse(text!) * 16 },
  ],
];
