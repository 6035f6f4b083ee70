import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, release, totalmem } from 'node:os';
import { summary } from './stats.mjs';

/**
 * @typedef {object} Row One measured quantity.
 * @property {string} what
 * @property {string} unit
 * @property {readonly number[]} values
 * @property {{ text: string, most?: number, at?: 'median' | 'p99' | 'max' }} [target] what is owed; met when the statistic is at most `most`
 * @property {string} [note]
 */

/** What the figures depend on. */
export function machine() {
  const read = (path) => {
    try {
      return readFileSync(path, 'utf8');
    } catch {
      return '';
    }
  };
  const mounts = read('/proc/mounts')
    .split('\n')
    .map((line) => line.split(' '));
  const v1 = mounts.filter(([, , type, options]) => type === 'cgroup' && !/name=/.test(options ?? '')).length;
  const v2 = mounts.some(([, , type]) => type === 'cgroup2');
  return {
    cpu: `${cpus().length} x ${cpus()[0]?.model.trim() ?? 'unknown'}`,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    kernel: release(),
    system: /PRETTY_NAME="(.*)"/.exec(read('/etc/os-release'))?.[1] ?? 'unknown',
    node: process.version,
    cgroups: v1 > 0 ? (v2 ? 'hybrid' : 'v1') : 'v2',
    commit: commit(),
    date: new Date().toISOString(),
    load: loadavg().map((value) => Number(value.toFixed(2))),
  };
}

function commit() {
  try {
    const git = (...args) =>
      execFileSync('git', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
    return `${git('rev-parse', '--short', 'HEAD')}${git('status', '--porcelain', '-uno') ? '+changes' : ''}`;
  } catch {
    return 'unknown';
  }
}

const figure = (value) =>
  !Number.isFinite(value) ? '-' : value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);

/** Of a few values there is no 99th percentile to speak of, and of one there is only that one. */
function statistics({ n, min, median, p90, p99, max }) {
  if (n === 1) return ['', figure(median), '', '', ''];
  return [figure(min), figure(median), n < 10 ? '' : figure(p90), n < 20 ? '' : figure(p99), figure(max)];
}

/** Whether the target is met, undefined where there is none. @param {Row} row */
function met({ target, values }) {
  if (target?.most === undefined || values.length === 0) return undefined;
  return summary(values)[target.at ?? 'median'] <= target.most;
}

/** Columns as wide as their widest cell; numbers to the right. @param {readonly (readonly string[])[]} rows */
export function table(rows) {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const number = (text) => /^[-\d.]+x?$/.test(text);
  return rows
    .map((row) =>
      row
        .map((cell, i) => (number(cell) ? cell.padStart(widths[i]) : cell.padEnd(widths[i])))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/** A benchmark's result, gathered section by section, printed at the end and written as JSON where asked. */
export class Report {
  #sections = [];
  #notes = [];
  #extra = {};
  #machine = machine();

  /** @param {string} name @param {string} title */
  constructor(name, title) {
    this.name = name;
    this.title = title;
  }

  /** @param {string} title @param {readonly Row[]} rows */
  section(title, rows) {
    this.#sections.push({ title, rows: rows.filter(({ values }) => values.length > 0) });
  }

  /** Something the reader must know to judge the figures. @param {string} text */
  note(text) {
    this.#notes.push(text);
  }

  /** Raw data for the JSON only. */
  extra(key, value) {
    this.#extra[key] = value;
  }

  /** Progress, on standard error. @param {string} text */
  say(text) {
    process.stderr.write(`${this.name}: ${text}\n`);
  }

  text() {
    const m = this.#machine;
    const lines = [
      `${this.title}`,
      `${m.cpu}, ${m.memoryGiB} GiB, ${m.system}, Linux ${m.kernel}, cgroups ${m.cgroups}, Node ${m.node}, ${m.commit}`,
      `load average ${m.load.join(' ')} at the start, ${loadavg()
        .map((v) => v.toFixed(2))
        .join(' ')} at the end`,
    ];
    for (const { title, rows } of this.#sections) {
      lines.push('', title);
      const head = ['', 'n', 'min', 'median', 'p90', 'p99', 'max', 'unit', 'owed', ''];
      const cells = rows.map((row) => {
        const s = summary(row.values);
        const ok = met(row);
        const verdict = ok === undefined ? '' : ok ? 'met' : 'MISSED';
        return [
          `  ${row.what}`,
          String(s.n),
          ...statistics(s),
          row.unit,
          row.target?.text ?? '',
          [verdict, row.note].filter(Boolean).join(' '),
        ];
      });
      lines.push(table([head, ...cells]));
    }
    if (this.#notes.length > 0) lines.push('', ...this.#notes.map((note) => `* ${note}`));
    return lines.join('\n');
  }

  json() {
    return {
      benchmark: this.name,
      machine: { ...this.#machine, loadAtEnd: loadavg() },
      sections: this.#sections.map(({ title, rows }) => ({
        title,
        rows: rows.map((row) => ({ ...row, summary: summary(row.values), met: met(row) })),
      })),
      notes: this.#notes,
      ...this.#extra,
    };
  }

  /** @param {string | undefined} jsonFile */
  finish(jsonFile) {
    console.log(this.text());
    if (jsonFile !== undefined) writeFileSync(jsonFile, `${JSON.stringify(this.json(), undefined, 1)}\n`);
  }
}
