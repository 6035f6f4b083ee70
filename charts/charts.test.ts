import * as fs from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type GoMap, loadChart, renderChart } from './index.js';
import { TemplateSet } from './template/evaluate.js';
import { functions } from './template/functions.js';
import { parse } from './template/parser.js';

function render(source: string, data: unknown = {}): string {
  const set = new TemplateSet(functions);
  set.add('t.yaml', parse('t.yaml', source));
  return set.execute('t.yaml', data);
}

describe('Go templates', () => {
  test.each<[string, string, unknown?]>([
    ['a{{ .x }}b', 'a1b', { x: 1 }],
    ['a {{- .x -}} b', 'a1b', { x: 1 }],
    ['{{/* gone */ -}}  x', 'x'],
    ['{{ .a.b.c }}', 'deep', { a: { b: { c: 'deep' } } }],
    ['{{ if .x }}yes{{ else if .y }}maybe{{ else }}no{{ end }}', 'maybe', { x: 0, y: [1] }],
    ['{{ with .x }}{{ .y }}{{ else }}none{{ end }}', 'none', { x: {} }],
    ['{{ range $i, $e := .l }}{{ $i }}={{ $e }};{{ end }}', '0=a;1=b;', { l: ['a', 'b'] }],
    ['{{ range $k, $v := .m }}{{ $k }}{{ $v }}{{ end }}', 'a1b2', { m: { b: 2, a: 1 } }],
    ['{{ range .l }}{{ if eq . 2 }}{{ continue }}{{ end }}{{ . }}{{ end }}', '13', { l: [1, 2, 3] }],
    ['{{ range .l }}x{{ else }}empty{{ end }}', 'empty', { l: [] }],
    ['{{ $x := 1 }}{{ if true }}{{ $x = 2 }}{{ end }}{{ $x }}', '2'],
    ['{{ define "t" }}[{{ . }}]{{ end }}{{ template "t" .x }}{{ include "t" "y" | upper }}', '[1][Y]', { x: 1 }],
    ['{{ block "b" .x }}<{{ . }}>{{ end }}', '<1>', { x: 1 }],
    ['{{ (index .m "k").v }}', 'V', { m: { k: { v: 'V' } } }],
    ['{{ printf "%s-%d %q %05.1f %v" "a" 3 "q" 2.5 .l }}', 'a-3 "q" 002.5 [1 2]', { l: [1, 2] }],
    [
      '{{ .m }} {{ .f }} {{ .big }} {{ 1000000 }}',
      'map[a:1] 1.5 1e+06 1000000',
      { m: { a: 1 }, f: 1.5, big: 1_000_000 },
    ],
    ['{{ or .no "b" }}{{ and .no .no.no }}', 'b', {}],
    ['{{ toYaml .m | nindent 2 }}', '\n  a:\n    - 1\n    - x', { m: { a: [1, 'x'] } }],
    ['{{ .x | default "d" | quote }}', '"d"', { x: '' }],
    ['{{ if and (eq .a "x") (not .b) }}ok{{ end }}', 'ok', { a: 'x' }],
    ['{{ add 1 2 }} {{ trunc 3 "abcdef" }} {{ list 1 2 | join "," }}', '3 abc 1,2'],
    ['{{ "tr\\"im" | trimSuffix "im" }} {{ `raw\\n` }}', 'tr" raw\\n'],
  ])('%s', (source, expected, ...data) => expect(render(source, data[0])).toBe(expected));

  test.each<[string, RegExp]>([
    ['one\n{{ if }}x{{ end }}', /^t.yaml:2: missing value for command/],
    ['{{ if .x }}', /has no \{\{end\}\}/],
    ['{{ end }}', /unexpected \{\{end\}\}/],
    ['\n\n{{ .a.b.c }}', /^t.yaml:3: nil pointer evaluating interface \{\}\.b/],
    ['{{ nosuch 1 }}', /function "nosuch" not defined/],
    ['{{ required "name it" .x }}', /name it/],
    ['{{ "open }}', /unexpected "\\""/],
    ['{{ define "a" }}{{ include "a" . }}{{ end }}{{ include "a" . }}', /calls itself without end/],
  ])('%j fails with file and line', (source, message) => expect(() => render(source)).toThrow(message));
});

describe('the guestbook chart', () => {
  const directory = fileURLToPath(new URL('./guestbook', import.meta.url));
  const release = { name: 'guestbook', namespace: 'default', kubeVersion: 'v1.33.0' };
  const objects = async (values: GoMap = {}) => renderChart(await loadChart(directory), { ...release, values });

  test('gives three deployments and three services, services first', async () => {
    const names = (await objects()).map(({ object }) => `${object.kind}/${(object.metadata as GoMap).name}`);
    expect(names).toEqual([
      'Service/frontend',
      'Service/redis-follower',
      'Service/redis-leader',
      'Deployment/frontend',
      'Deployment/redis-follower',
      'Deployment/redis-leader',
    ]);
  });

  test('takes replicas and images from values, and selects the pods it makes', async () => {
    const all = await objects({ frontend: { replicas: 5, image: 'example.com/web:2' } });
    const { spec } = all.find(
      ({ object }) => (object.metadata as GoMap).name === 'frontend' && object.kind === 'Deployment',
    )!.object as { spec: GoMap & { selector: GoMap; template: { metadata: GoMap; spec: { containers: GoMap[] } } } };
    expect(spec.replicas).toBe(5);
    expect(spec.template.spec.containers[0]!.image).toBe('example.com/web:2');
    expect(spec.template.metadata.labels).toMatchObject(spec.selector.matchLabels as object);
  });

  test('refuses a value of the wrong type by its key, and one it does not know', async () => {
    await expect(objects({ frontend: { replicas: 'many' } })).rejects.toThrow(
      'frontend.replicas: must be integer, not "many"',
    );
    await expect(objects({ frontend: { replica: 1 } })).rejects.toThrow('frontend.replica: unknown value');
  });
});

describe('a directory that is no sound chart', () => {
  let directory: string;
  beforeEach(async () => {
    directory = await fs.mkdtemp(join(tmpdir(), 'trimtab-chart-'));
  });
  afterEach(() => fs.rm(directory, { recursive: true, force: true }));

  test('is refused with what is missing or wrong', async () => {
    await expect(loadChart(directory)).rejects.toThrow(/has no Chart.yaml/);
    await fs.writeFile(join(directory, 'Chart.yaml'), 'apiVersion: v2\nname: x\n');
    await expect(loadChart(directory)).rejects.toThrow('Chart.yaml: version: required');
    await fs.writeFile(join(directory, 'Chart.yaml'), 'apiVersion: v2\nname: x\nversion: 1.0.0\n');
    await fs.mkdir(join(directory, 'templates'));
    await fs.writeFile(join(directory, 'templates/a.yaml'), 'kind: {{ .Values.kind }}\n  bad: [');
    const chart = await loadChart(directory);
    const release = { name: 'r', namespace: 'n', kubeVersion: 'v1.33.0', values: { kind: 'ConfigMap' } };
    expect(() => renderChart(chart, release)).toThrow(/x\/templates\/a.yaml: the rendered YAML is wrong/);
  });
});
