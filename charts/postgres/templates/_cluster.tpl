{{/* What both operators' objects share. */}}

{{/* Data outlives the release. (root) */}}
{{- define "postgres.keep" -}}
{{- if .Values.global.retainData -}}
annotations: { helm.sh/resource-policy: keep }
{{- end -}}
{{- end -}}

{{/* An image that an operator runs: global.imageRegistry takes the place of its registry too. (list $root "registry/path:tag") */}}
{{- define "postgres.operatorImage" -}}
{{- $image := index . 1 -}}
{{- with (index . 0).Values.global.imageRegistry -}}{{ . }}/{{ regexReplaceAll "^[^/]+/" $image "" }}{{- else -}}{{ $image }}{{- end -}}
{{- end -}}

{{- define "postgres.claim" -}}
accessModes: [ReadWriteOnce]
{{- with .storage.className }}
storageClassName: {{ . }}
{{- end }}
resources: { requests: { storage: {{ .storage.size }} } }
{{- end -}}

{{/* Different nodes, where there are some, unless the values say otherwise: (list $values $labels). */}}
{{- define "postgres.affinity" -}}
{{- $values := index . 0 -}}
{{- with $values.affinity -}}
{{ toYaml . }}
{{- else -}}
podAntiAffinity:
  preferredDuringSchedulingIgnoredDuringExecution:
    - weight: 100
      podAffinityTerm:
        topologyKey: kubernetes.io/hostname
        labelSelector:
          matchLabels: {{- toYaml (index . 1) | nindent 12 }}
{{- with $values.nodeSelector }}
nodeAffinity:
  requiredDuringSchedulingIgnoredDuringExecution:
    nodeSelectorTerms:
      - matchExpressions:
          {{- range $key, $value := . }}
          - { key: {{ $key }}, operator: In, values: [{{ $value | quote }}] }
          {{- end }}
{{- end }}
{{- end -}}
{{- end -}}

{{/* PgBouncer keeps named statements, and a connection to Postgres only while a transaction runs. */}}
{{- define "postgres.poolerSettings" -}}
max_client_conn: {{ .clientsMax | quote }}
default_pool_size: {{ .poolSize | quote }}
max_prepared_statements: '500'
{{- end -}}
