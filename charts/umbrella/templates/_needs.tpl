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

{{/* Who has a bucket in the object store of this release, and its name: services that need one, and the backups. */}}
{{- define "saas.bucketUsers" -}}
{{- range $service, $needs := fromYaml (include "saas.allNeeds" .) }}
{{- if $needs.objectStore }}
{{ $service }}: {{ include "saas.bucket" (list $ $service) }}
{{- end }}
{{- end }}
{{- if eq (include "saas.backsUpHere" .) "true" }}
postgres-backup: {{ include "postgres.backupBucket" (list . .Values.postgres) }}
{{- end }}
{{- end -}}

{{/* The Secret with the key of one of them: (list $root "auth"). */}}
{{- define "saas.bucketSecret" -}}
{{- $name := include "saas.fullname" . -}}
{{- if ne (index . 1) "postgres-backup" -}}{{- $name = printf "%s-objectstore" $name -}}{{- end -}}
{{- index (include "saas.bucketSecretsGiven" (index . 0) | fromYaml) (index . 1) | default $name -}}
{{- end -}}

{{/* Those of them that are somebody's own. (root) */}}
{{- define "saas.bucketSecretsGiven" -}}
{{- set (deepCopy (.Values.global.objectStore.existingSecrets | default dict)) "postgres-backup" .Values.postgres.backup.existingSecret | toYaml -}}
{{- end -}}

{{/* Whether backups go to the object store of this release. */}}
{{- define "saas.backsUpHere" -}}
{{- $backup := .Values.postgres.backup -}}
{{- and $backup.enabled (not $backup.endpoint) (not .Values.global.objectStore.endpoint) (has .Values.global.postgres.mode (list "standalone" "cnpg")) -}}
{{- end -}}
