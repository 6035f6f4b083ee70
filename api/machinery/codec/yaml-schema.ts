import type { ScalarTag, Tags } from 'yaml';

/**
 * YAML as Kubernetes' tools read it (sigs.k8s.io/yaml): YAML 1.1's `yes`, `on` and `0777`, but dates stay text, there are
 * no sexagesimal numbers, and `y` and `n` are names.
 */

const bool: ScalarTag = {
  identify: (value) => typeof value === 'boolean',
  default: true,
  tag: 'tag:yaml.org,2002:bool',
  test: /^(?:true|True|TRUE|yes|Yes|YES|on|On|ON|false|False|FALSE|no|No|NO|off|Off|OFF)$/,
  resolve: (text) => /^(?:t|y|on)/i.test(text),
  stringify: ({ value }) => (value ? 'true' : 'false'),
};

const integer = (test: RegExp, radix: number, prefix: number): ScalarTag => ({
  identify: (value) => radix === 10 && Number.isInteger(value),
  default: true,
  tag: 'tag:yaml.org,2002:int',
  test,
  resolve: (text) => {
    const sign = text.startsWith('-') ? -1 : 1;
    const digits = text.replace(/^[-+]/, '').replaceAll('_', '').slice(prefix);
    return sign * Number.parseInt(digits, radix);
  },
  stringify: ({ value }) => String(value),
});

const infinite: ScalarTag = {
  identify: () => false,
  default: true,
  tag: 'tag:yaml.org,2002:float',
  test: /^(?:[-+]?\.(?:inf|Inf|INF)|\.nan|\.NaN|\.NAN)$/,
  resolve: (text, onError) => {
    onError(`${text} cannot be written in JSON`);
    return null;
  },
};

const float: ScalarTag = {
  identify: (value) => typeof value === 'number',
  default: true,
  tag: 'tag:yaml.org,2002:float',
  test: /^[-+]?(?:\.[0-9]+|[0-9][0-9_]*(?:\.[0-9_]*)?)(?:[eE][-+]?[0-9]+)?$/,
  resolve: (text) => Number(text.replaceAll('_', '')),
  stringify: ({ value }) => String(value),
};

const binary: ScalarTag = {
  identify: () => false,
  default: false,
  tag: 'tag:yaml.org,2002:binary',
  resolve: (text) => Buffer.from(text, 'base64').toString('utf8'),
};

/** To be added to the `failsafe` schema, which has maps, lists and strings. */
export const kubernetesTags: Tags = [
  'null',
  bool,
  integer(/^[-+]?0b[01_]+$/, 2, 2),
  integer(/^[-+]?0o[0-7_]+$/, 8, 2),
  integer(/^[-+]?0[0-7_]+$/, 8, 1),
  integer(/^[-+]?0x[0-9a-fA-F_]+$/, 16, 2),
  integer(/^[-+]?[0-9][0-9_]*$/, 10, 0),
  infinite,
  float,
  binary,
  'merge',
];
