{{/* The services and what they declare to need, as YAML: one map, from which all else follows. */}}
{{- define "saas.allNeeds" -}}
{{- range $service := list "auth" "products" "orders" "notifications" "frontend" }}
{{ $service }}: {{- toYaml (index $.Values $service).needs | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Only those that speak over the bus, and how. */}}
{{- define "saas.brokerUsers" -}}
{{- range $service, $needs := fromYaml (include "saas.allNeeds" .) }}
{{- with $needs.nats }}
{{ $service }}: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- end -}}
