{{/* The labels of the pods behind both hosts, as YAML. (root) */}}
{{- define "postgres.pods" -}}
{{- $name := include "saas.fullname" (list . "postgres") -}}
{{- $mode := .Values.global.postgres.mode -}}
{{- if eq $mode "pgo" -}}
pooled: { postgres-operator.crunchydata.com/cluster: {{ $name }}, postgres-operator.crunchydata.com/role: pgbouncer }
direct: { postgres-operator.crunchydata.com/cluster: {{ $name }}, postgres-operator.crunchydata.com/data: postgres }
cluster: { postgres-operator.crunchydata.com/cluster: {{ $name }} }
{{- else if eq $mode "cnpg" -}}
pooled: { cnpg.io/poolerName: {{ $name }}-pooler }
direct: { cnpg.io/cluster: {{ $name }}, cnpg.io/podRole: instance }
cluster: { cnpg.io/cluster: {{ $name }} }
{{- else -}}
{{- $labels := include "saas.selectorLabels" (list . "postgres") | fromYaml | toJson -}}
pooled: {{ $labels }}
direct: {{ $labels }}
{{- end -}}
{{- end -}}

{{/* What the chosen mode is made of: (dict "root" $ "values" .Values.postgres "services" $names). Its Secrets are the umbrella's. */}}
{{- define "postgres.objects" -}}
{{- $mode := .root.Values.global.postgres.mode -}}
{{ include (printf "postgres.%s" $mode) . }}
---
{{ include "postgres.provisionJob" . }}
{{- end -}}
