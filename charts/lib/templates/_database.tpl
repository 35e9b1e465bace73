{{/*
How the databases are reached in the mode of the release, as YAML: the host of requests (`pooled`) and of migrations (`direct`),
what a URI ends with, and what the migrators' names end with (Crunchy's operator knows no underscore). (root)
*/}}
{{- define "saas.databaseConnection" -}}
{{- $name := include "saas.fullname" (list . "postgres") -}}
{{- $mode := .Values.global.postgres.mode -}}
{{- $verified := "?sslmode=verify-full&sslrootcert=/etc/postgres-ca/ca.crt" -}}
{{- if eq $mode "pgo" -}}
{ pooled: {{ $name }}-pgbouncer, direct: {{ $name }}-primary, query: {{ $verified | quote }}, migrator: -migrator }
{{- else if eq $mode "cnpg" -}}
{ pooled: {{ $name }}-pooler, direct: {{ $name }}-rw, query: {{ $verified | quote }}, migrator: _migrator }
{{- else -}}
{ pooled: {{ $name }}, direct: {{ $name }}, query: '', migrator: _migrator }
{{- end -}}
{{- end -}}

{{/* What leads a role to the database of a service: (list $root "auth" "uri" or "direct-uri" "password"). */}}
{{- define "saas.databaseUri" -}}
{{- $service := index . 1 -}}
{{- $connection := include "saas.databaseConnection" (index . 0) | fromYaml -}}
{{- $role := $service -}}{{- $host := $connection.pooled -}}
{{- if eq (index . 2) "direct-uri" -}}{{- $role = printf "%s%s" $service $connection.migrator -}}{{- $host = $connection.direct -}}{{- end -}}
{{- printf "postgres://%s:%s@%s:5432/%s%s" $role (index . 3) $host $service $connection.query -}}
{{- end -}}

{{/*
A variable with that: (list . NAME "uri" or "direct-uri"). A Secret of somebody's own for a server of this release has the
passwords only, and Kubernetes puts the URI together.
*/}}
{{- define "saas.databaseUrl" -}}
{{- $root := index . 0 -}}{{- $key := index . 2 -}}{{- $service := $root.Chart.Name -}}
{{- $secret := include "saas.databaseSecret" (list $root $service) -}}
{{- if and (index ($root.Values.global.postgres.existingSecrets | default dict) $service) (ne $root.Values.global.postgres.mode "external") -}}
{{ include "saas.fromSecret" (list "DATABASE_PASSWORD" $secret (get (dict "uri" "password" "direct-uri" "migrator-password") $key)) }}
{{ index . 1 }}: {{ include "saas.databaseUri" (list $root $service $key "$(DATABASE_PASSWORD)") | quote }}
{{- else -}}
{{ include "saas.fromSecret" (list (index . 1) $secret $key) }}
{{- end -}}
{{- end -}}

{{/* The Secret of a service for its database, one of the user's or the one made here: (list $root "auth"). */}}
{{- define "saas.databaseSecret" -}}
{{- $given := index ((index . 0).Values.global.postgres.existingSecrets | default dict) (index . 1) -}}
{{- $given | default (printf "%s-database" (include "saas.fullname" .)) -}}
{{- end -}}

{{/* The Secret with the certificate (`ca.crt`) that Postgres is known by, or nothing. (root) */}}
{{- define "saas.postgresCa" -}}
{{- $mode := .Values.global.postgres.mode -}}
{{- $name := include "saas.fullname" (list . "postgres") -}}
{{- if eq $mode "pgo" -}}{{ $name }}-cluster-cert
{{- else if eq $mode "cnpg" -}}{{ $name }}-ca
{{- else -}}{{ .Values.global.postgres.caSecret }}
{{- end -}}
{{- end -}}

{{/* As a volume: never the key that may lie beside it. */}}
{{- define "saas.postgresCaSecret" -}}
secretName: {{ . }}
items: [{ key: ca.crt, path: ca.crt }]
{{- end -}}
