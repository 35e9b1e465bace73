{{/*
Migrations are a plain Job, not a hook: a hook after the install would never run under --wait, which waits for pods that
wait for the schema. A Job cannot be changed, so its name carries a hash of all that matters in it.
*/}}
{{- define "saas.migration" -}}
{{- $job := printf "%s-migrate" .Chart.Name -}}
{{- $template := include "saas.migrationPod" . -}}
{{- $hash := printf "%s\n%s\n%s" $template (toJson .Values.overrides.job) (.Files.Get "files/migrations.txt") | sha256sum | trunc 8 -}}
apiVersion: batch/v1
kind: Job
metadata: {{- include "saas.metadata" (list . $job (printf "%s-%s" (include "saas.fullname" (list . $job)) $hash)) | nindent 2 }}
spec:
  backoffLimit: 20
  template: {{- $template | nindent 4 }}
{{- end -}}

{{- define "saas.migrationPod" -}}
{{- $job := printf "%s-migrate" .Chart.Name -}}
metadata:
  labels: {{- include "saas.selectorLabels" (list . $job) | nindent 4 }}
  annotations:
    checksum/secrets: {{ include "saas.secretsChecksum" .Values.global | quote }}
spec:
  restartPolicy: OnFailure
  {{- include "saas.podSecurity" (list .) | nindent 2 }}
  {{- include "saas.placement" .Values | nindent 2 }}
  containers:
    - name: migrate
      {{- include "saas.serviceContainer" . | nindent 6 }}
      args: [src/migrate.ts, --wait]
      env: {{- include "saas.env" (printf "%s\n%s" (include "saas.databaseUrl" (list . "MIGRATE_DATABASE_URL" "direct-uri")) (include "saas.nodeOptions" .Values.resources)) | nindent 8 }}
  volumes: {{- include "saas.serviceVolumes" . | nindent 4 }}
{{- end -}}
