{{/* A variable from a Secret: (list NAME secret key). */}}
{{- define "saas.fromSecret" -}}
{{ index . 0 }}: { secretKeyRef: { name: {{ index . 1 }}, key: {{ index . 2 }} } }
{{- end -}}

{{/* The same of a key that a Secret of somebody's own may lack: the one that is accepted too, during a replacement. */}}
{{- define "saas.fromSecretIfThere" -}}
{{ index . 0 }}: { secretKeyRef: { name: {{ index . 1 }}, key: {{ index . 2 }}, optional: true } }
{{- end -}}

{{/*
The environment of a service, as a map, so that no name repeats: a value is a string, or a source. What is there follows
from the declared needs.
*/}}
{{- define "saas.environment" -}}
{{- $name := .Chart.Name -}}{{- $global := .Values.global -}}{{- $needs := .Values.needs -}}
{{- $secret := include "saas.serviceSecret" (list . $name) -}}
LISTEN_HOST: 0.0.0.0
LISTEN_PORT: '3000'
OPS_PORT: '9000'
PUBLIC_URL: {{ $global.publicUrl | quote }}
LOG_LEVEL: {{ .Values.logLevel | quote }}
OTEL_EXPORTER_OTLP_ENDPOINT: {{ $global.tracing.endpoint | quote }}
OTEL_TRACES_SAMPLER_ARG: {{ $global.tracing.share | toString | quote }}
{{- if $needs.objectStore }}
{{ include "saas.memoryWithPictures" .Values.resources }}
{{- else }}
{{ include "saas.nodeOptions" .Values.resources }}
{{- end }}
{{- if $needs.database }}
{{ include "saas.databaseUrl" (list . "DATABASE_URL" "uri") }}
{{- end }}
{{- if $needs.nats }}
{{ include "saas.fromSecret" (list "NATS_PASSWORD" $secret "nats-password") }}
NATS_BROKER_URL: nats://{{ $name }}:$(NATS_PASSWORD)@{{ include "saas.fullname" (list . "nats") }}:4222
NATS_STREAM_REPLICAS: {{ $global.nats.replicas | quote }}
{{- if not $needs.signsFor }}
{{ include "saas.fromSecret" (list "TOKEN_KEY" $secret "internal-token-key") }}
{{ include "saas.fromSecret" (list "TOKEN_KEY_ACCEPTED" $secret "internal-token-key-accepted") }}
INTERNAL_TOKEN_KEY: $(TOKEN_KEY),$(TOKEN_KEY_ACCEPTED)
{{- end }}
{{- end }}
{{- if $needs.objectStore }}
{{- $store := $global.objectStore }}
S3_ENDPOINT: {{ include "saas.objectStoreEndpoint" . }}
S3_REGION: {{ $store.region | quote }}
S3_BUCKET: {{ include "saas.bucket" (list . $name) }}
{{- $credentials := index $store.existingSecrets $name | default (printf "%s-objectstore" (include "saas.fullname" (list . $name))) }}
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
{{- with $needs.signsFor }}
{{- $keys := list }}
{{- range $service := . }}
{{- $other := include "saas.serviceSecret" (list $ $service) }}
{{- range $suffix := list "" "_ACCEPTED" }}
{{- $variable := printf "TOKEN_KEY_%s%s" (upper $service) $suffix }}
{{ include "saas.fromSecret" (list $variable $other (printf "internal-token-key%s" (lower $suffix | replace "_" "-"))) }}
{{- $keys = append $keys (printf "%s=$(%s)" $service $variable) }}
{{- end }}
{{- end }}
INTERNAL_TOKEN_KEYS: {{ join "," $keys }}
{{ include "saas.fromSecretIfThere" (list "KEY_ENCRYPTION_KEY_ACCEPTED" $secret "key-encryption-key-accepted") }}
EDGE: {{ $global.edge }}
TRUSTED_HOPS: {{ $global.trustedHops | quote }}
{{- end }}
{{- if $needs.mailSecret }}
{{- $sealer := include "saas.serviceSecret" (list . "auth") }}
{{ include "saas.fromSecret" (list "MAIL_SECRET_KEY" $sealer "mail-secret-key") }}
{{ include "saas.fromSecretIfThere" (list "MAIL_SECRET_KEY_ACCEPTED" $sealer "mail-secret-key-accepted") }}
{{- end }}
{{- range $variable, $source := .Values.secretEnvironment }}
{{- if kindIs "map" $source }}
{{ include "saas.fromSecret" (list $variable $source.secret $source.key) }}
{{- else }}
{{ include "saas.fromSecret" (list $variable $secret $source) }}
{{- end }}
{{- end }}
{{- range $variable, $value := .Values.environment }}
{{ $variable }}: {{ $value | toString | quote }}
{{- end }}
{{- end -}}

{{/* The Secret with what only this service knows: one of the user's, or the one made here. (list $root "orders") */}}
{{- define "saas.serviceSecret" -}}
{{- $given := index ((index . 0).Values.global.secrets.existing | default dict) (index . 1) -}}
{{- $given | default (include "saas.fullname" .) -}}
{{- end -}}

{{/* The URL of the object store. (root) */}}
{{- define "saas.objectStoreEndpoint" -}}
{{- .Values.global.objectStore.endpoint | default (printf "http://%s:9000" (include "saas.fullname" (list . "objectstore"))) -}}
{{- end -}}

{{/* The bucket of a service, which only its key opens: (list $root "auth"). */}}
{{- define "saas.bucket" -}}
{{- printf "%s-%s" (index . 0).Values.global.objectStore.bucket (index . 1) -}}
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
