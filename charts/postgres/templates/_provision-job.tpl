{{/* The image as every container here runs it. */}}
{{- define "postgres.container" -}}
image: {{ include "saas.image" (list (index . 0) (index . 1).image) }}
imagePullPolicy: {{ (index . 1).image.pullPolicy }}
{{ include "saas.containerSecurity" . }}
{{- end -}}

{{/* The statements, and the Job that runs them. A Job cannot be changed, so its name carries a hash of all that matters in it. */}}
{{- define "postgres.provisionJob" -}}
{{- $template := include "postgres.provisionPod" . -}}
{{- $statements := include "postgres.provision" . -}}
{{- $hash := printf "%s\n%s" $template $statements | sha256sum | trunc 8 -}}
apiVersion: v1
kind: ConfigMap
metadata: {{- include "saas.metadata" (list .root "postgres" (include "saas.fullname" (list .root "postgres"))) | nindent 2 }}
data:
  mode: {{ .root.Values.global.postgres.mode }}
  provision.sql: {{- $statements | toYaml | nindent 4 }}
  {{- if eq .root.Values.global.postgres.mode "standalone" }}
  pg_hba.conf: {{- printf "%s\n" (include "postgres.accessRules" .) | toYaml | nindent 4 }}
  set-password.sh: {{- printf "%s\n" (include "postgres.setPassword" .) | toYaml | nindent 4 }}
  {{- end }}
---
apiVersion: batch/v1
kind: Job
metadata: {{- include "saas.metadata" (list .root "postgres-provision" (printf "%s-%s" (include "saas.fullname" (list .root "postgres-provision")) $hash)) | nindent 2 }}
spec:
  backoffLimit: 20
  template: {{- $template | nindent 4 }}
{{- end -}}

{{- define "postgres.provisionPod" -}}
{{- $root := .root -}}{{- $values := .values -}}
{{- $name := include "saas.fullname" (list $root "postgres") -}}
{{- $host := get (include "saas.databaseConnection" $root | fromYaml) "direct" -}}
{{- $ca := include "saas.postgresCa" $root -}}
{{- $administrator := include "saas.serviceSecret" (list $root "postgres") -}}
metadata:
  labels: {{- include "saas.selectorLabels" (list $root "postgres-provision") | nindent 4 }}
  annotations:
    checksum/secrets: {{ include "saas.secretsChecksum" $root.Values.global | quote }}
spec:
  restartPolicy: OnFailure
  {{- include "saas.podSecurity" (list $root) | nindent 2 }}
  {{- include "saas.placement" $values | nindent 2 }}
  initContainers:
    - name: wait-for-postgres
      {{- include "postgres.container" (list $root $values) | nindent 6 }}
      command: [sh, -c, 'until pg_isready --quiet --host={{ $host }} --username=postgres; do sleep 1; done']
      resources: {{- include "postgres.jobResources" . | nindent 8 }}
  containers:
    - name: provision
      {{- include "postgres.container" (list $root $values) | nindent 6 }}
      command: [psql, --no-psqlrc, --quiet, --file=/etc/provision/provision.sql]
      env:
        - { name: PGHOST, value: {{ $host }} }
        - { name: PGUSER, value: postgres }
        {{- if $ca }}
        - { name: PGSSLMODE, value: verify-full }
        - { name: PGSSLROOTCERT, value: /etc/postgres-ca/ca.crt }
        {{- end }}
        - name: PGPASSWORD
          valueFrom: { secretKeyRef: { name: {{ $administrator }}, key: password } }
        {{- if and $values.backup.enabled (eq $root.Values.global.postgres.mode "standalone") }}
        - name: PASSWORD_OF_BACKUP
          valueFrom: { secretKeyRef: { name: {{ $administrator }}, key: backup-password } }
        {{- end }}
        {{- range $service := .services }}
        {{- $secret := include "saas.databaseSecret" (list $root $service) }}
        - name: PASSWORD_{{ $service | upper }}
          valueFrom: { secretKeyRef: { name: {{ $secret }}, key: password } }
        - name: MIGRATOR_PASSWORD_{{ $service | upper }}
          valueFrom: { secretKeyRef: { name: {{ $secret }}, key: migrator-password } }
        {{- end }}
      resources: {{- include "postgres.jobResources" . | nindent 8 }}
      volumeMounts:
        - { name: provision, mountPath: /etc/provision, readOnly: true }
        {{- with $ca }}
        - { name: postgres-ca, mountPath: /etc/postgres-ca, readOnly: true }
        {{- end }}
  volumes:
    - name: provision
      configMap:
        name: {{ $name }}
        items: [{ key: provision.sql, path: provision.sql }]
    {{- with $ca }}
    - name: postgres-ca
      secret: {{- include "saas.postgresCaSecret" . | nindent 8 }}
    {{- end }}
{{- end -}}

{{- define "postgres.jobResources" -}}
requests: { cpu: 10m, memory: 32Mi }
limits: { memory: 64Mi }
{{- end -}}
