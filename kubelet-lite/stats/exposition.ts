/** One figure of the Prometheus text format; labels that are `undefined` are left out. */
export interface Sample {
  readonly labels: Readonly<Record<string, string | undefined>>;
  readonly value: number;
}

export interface Metric {
  readonly name: string;
  readonly help: string;
  readonly type: 'counter' | 'gauge' | 'histogram' | 'untyped';
  readonly samples: readonly Sample[];
  /** Of a histogram: its samples by the ending of their name. */
  readonly parts?: readonly (readonly [ending: string, samples: readonly Sample[]])[];
}

export const EXPOSITION_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

/** The Prometheus text format, version 0.0.4. Metrics without samples are left out, as client_golang does. */
export function exposition(metrics: readonly Metric[]): string {
  return metrics.map(family).join('');
}

function family({ name, help, type, samples, parts = [] }: Metric): string {
  if (samples.length === 0 && parts.length === 0) return '';
  const lines = [['', samples] as const, ...parts].flatMap(([ending, all]) =>
    all.map(({ labels, value }) => `${name}${ending}${labelText(labels)} ${numberText(value)}\n`),
  );
  return `# HELP ${name} ${help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')}\n# TYPE ${name} ${type}\n${lines.join('')}`;
}

function labelText(labels: Sample['labels']): string {
  const given = Object.entries(labels).filter(([, value]) => value !== undefined);
  if (given.length === 0) return '';
  return `{${given.map(([name, value]) => `${name}="${escaped(value!)}"`).join(',')}}`;
}

const escaped = (value: string): string =>
  value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');

function numberText(value: number): string {
  if (Number.isNaN(value)) return 'NaN';
  if (!Number.isFinite(value)) return value > 0 ? '+Inf' : '-Inf';
  return String(value);
}
