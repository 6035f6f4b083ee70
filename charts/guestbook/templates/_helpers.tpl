{{/* Labels of one tier: what selects it, and what helps people find it. */}}
{{- define "guestbook.selector" -}}
app.kubernetes.io/name: guestbook
app.kubernetes.io/instance: {{ .release }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "guestbook.labels" -}}
{{ include "guestbook.selector" . }}
app.kubernetes.io/managed-by: {{ .manager }}
helm.sh/chart: {{ .chart }}
{{- end }}

{{- define "guestbook.tier" -}}
{{- $chart := printf "%s-%s" .root.Chart.Name .root.Chart.Version -}}
{{- toYaml (dict "release" .root.Release.Name "manager" .root.Release.Service "chart" $chart "component" .component) -}}
{{- end }}
