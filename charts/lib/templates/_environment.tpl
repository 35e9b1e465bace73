{{/* A variable from a Secret: (list NAME secret key). */}}
{{- define "saas.fromSecret" -}}
{{ index . 0 }}: { secretKeyRef: { name: {{ index . 1 }}, key: {{ index . 2 }} } }
{{- end -}}

{{/*
The environment of a service, as a map, so that no name repeats: a value is a string, or a source. What is there follows
from the declared needs.
*/}}
{{- define "saas.environment" -}}
{{- $name := .Chart.Name -}}{{- $global := .Values.global -}}{{- $needs := .Values.needs -}}
{{- $secret := include "saas.fullname" (list . $name) -}}
{{- $database := include "saas.databaseSecret" . -}}
LISTEN_HOST: 0.0.0.0
LISTEN_PORT: '3000'
OPS_PORT: '9000'
PUBLIC_URL: {{ $global.publicUrl | quote }}
LOG_LEVEL: {{ .Values.logLevel | quote }}
NODE_OPTIONS: --max-old-space-size={{ include "saas.heapMiB" .Values.resources.limits.memory }}
{{- if $needs.database }}
{{ include "saas.fromSecret" (list "DATABASE_URL" $database "uri") }}
{{- end }}
{{- if $needs.nats }}
{{ include "saas.fromSecret" (list "NATS_PASSWORD" $secret "nats-password") }}
NATS_BROKER_URL: nats://{{ $name }}:$(NATS_PASSWORD)@{{ include "saas.fullname" (list . "nats") }}:4222
NATS_STREAM_REPLICAS: {{ $global.nats.replicas | quote }}
{{ include "saas.fromSecret" (list "INTERNAL_TOKEN_KEY" $secret "internal-token-key") }}
{{- end }}
{{- if $needs.objectStore }}
{{- $store := $global.objectStore }}
S3_ENDPOINT: {{ $store.endpoint | default (printf "http://%s:9000" (include "saas.fullname" (list . "objectstore"))) }}
S3_REGION: {{ $store.region | quote }}
S3_BUCKET: {{ $store.bucket | quote }}
{{- $credentials := $store.existingSecret | default (include "saas.fullname" (list . "objectstore")) }}
{{ include "saas.fromSecret" (list "S3_ACCESS_KEY" $credentials "access-key") }}
{{ include "saas.fromSecret" (list "S3_SECRET_KEY" $credentials "secret-key") }}
{{- end }}
{{- if $needs.smtp }}
MAIL_FROM: {{ $global.mail.from | quote }}
{{- if $global.mail.mailbox }}
SMTP_URL: smtp://{{ include "saas.fullname" (list . "mailbox") }}:1025
{{- else }}
{{ include "saas.fromSecret" (list "SMTP_URL" $global.mail.existingSecret "smtp-url") }}
{{- end }}
{{- end }}
{{- if eq $name "auth" }}
EDGE: nginx
TRUSTED_HOPS: {{ $global.trustedHops | quote }}
{{- end }}
{{- range $variable, $key := .Values.secretEnvironment }}
{{ include "saas.fromSecret" (list $variable $secret $key) }}
{{- end }}
{{- range $variable, $value := .Values.environment }}
{{ $variable }}: {{ $value | toString | quote }}
{{- end }}
{{- end -}}

{{/* The Secret with `uri` (pooled, the service's role) and `direct-uri` (the migrator's). */}}
{{- define "saas.databaseSecret" -}}
{{- $given := index (.Values.global.postgres.existingSecrets | default dict) .Chart.Name -}}
{{- $given | default (printf "%s-database" (include "saas.fullname" (list . .Chart.Name))) -}}
{{- end -}}

{{/* A map of variables as Kubernetes wants it. What others refer to stands first. */}}
{{- define "saas.env" -}}
{{- $environment := fromYaml . -}}
{{- with $environment.Error -}}{{- fail (printf "the environment is not YAML: %s" .) -}}{{- end -}}
{{- range $name, $value := $environment }}
{{- if kindIs "map" $value }}
- name: {{ $name }}
  valueFrom: {{- toYaml $value | nindent 4 }}
{{- end }}
{{- end }}
{{- range $name, $value := $environment }}
{{- if not (kindIs "map" $value) }}
- name: {{ $name }}
  value: {{ $value | toString | quote }}
{{- end }}
{{- end }}
{{- end -}}
