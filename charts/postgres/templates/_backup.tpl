{{/* Where backups go: (list $root $values). Empty settings mean the object store of this release. */}}
{{- define "postgres.backupSecret" -}}
{{- (index . 1).backup.existingSecret | default (include "saas.fullname" (list (index . 0) "postgres-backup")) -}}
{{- end -}}

{{- define "postgres.backupEndpoint" -}}
{{- (index . 1).backup.endpoint | default (include "saas.objectStoreEndpoint" (index . 0)) -}}
{{- end -}}

{{- define "postgres.backupBucket" -}}
{{- (index . 1).backup.bucket | default (printf "%s-backup" (index . 0).Values.global.objectStore.bucket) -}}
{{- end -}}

{{/* Several releases may share a bucket. (root) */}}
{{- define "postgres.backupPrefix" -}}
{{ .Release.Namespace }}/{{ include "saas.fullname" (list . "postgres") }}
{{- end -}}

{{/* How a program reaches where backups are, as environment. */}}
{{- define "postgres.backupStore" -}}
{{- $secret := include "postgres.backupSecret" (list .root .values) -}}
- { name: S3_ENDPOINT, value: {{ include "postgres.backupEndpoint" (list .root .values) | quote }} }
- { name: S3_REGION, value: {{ .values.backup.region | quote }} }
- { name: S3_BUCKET, value: {{ include "postgres.backupBucket" (list .root .values) | quote }} }
- name: S3_ACCESS_KEY
  valueFrom: { secretKeyRef: { name: {{ $secret }}, key: access-key } }
- name: S3_SECRET_KEY
  valueFrom: { secretKeyRef: { name: {{ $secret }}, key: secret-key } }
{{- end -}}

{{/* Of a standalone server: packages/operations asks it for a base backup and streams that to the object store. */}}
{{- define "postgres.backupJob" -}}
{{- $root := .root -}}{{- $values := .values -}}
{{- $name := include "saas.fullname" (list $root "postgres") -}}
{{- $job := include "saas.fullname" (list $root "postgres-backup") -}}
apiVersion: batch/v1
kind: CronJob
metadata: {{- include "saas.metadata" (list $root "postgres-backup" $job) | nindent 2 }}
spec:
  schedule: {{ $values.backup.schedule | quote }}
  timeZone: Etc/UTC
  concurrencyPolicy: Forbid
  startingDeadlineSeconds: 3600
  successfulJobsHistoryLimit: 1
  failedJobsHistoryLimit: 3
  jobTemplate:
    spec:
      # A new try begins a new backup; one that was cut off counts for nothing.
      backoffLimit: 3
      template:
        metadata:
          labels: {{- include "saas.selectorLabels" (list $root "postgres-backup") | nindent 12 }}
        spec:
          restartPolicy: Never
          {{- include "saas.podSecurity" (list $root) | nindent 10 }}
          {{- include "saas.placement" $values | nindent 10 }}
          containers:
            - name: backup
              {{- include "saas.operationsContainer" (list $root .operationsImage) | nindent 14 }}
              args: [src/operations.ts, backup]
              env:
                {{- include "saas.env" (include "saas.nodeOptions" $values.backup.resources) | nindent 16 }}
                - name: BACKUP_PASSWORD
                  valueFrom: { secretKeyRef: { name: {{ include "saas.serviceSecret" (list $root "postgres") }}, key: backup-password } }
                - { name: BACKUP_DATABASE_URL, value: 'postgres://backup:$(BACKUP_PASSWORD)@{{ $name }}:5432/postgres' }
                - { name: BACKUP_PREFIX, value: {{ include "postgres.backupPrefix" $root | quote }} }
                - { name: BACKUP_KEEP, value: {{ $values.backup.keep | quote }} }
                {{- include "postgres.backupStore" . | nindent 16 }}
              resources: {{- toYaml $values.backup.resources | nindent 16 }}
          volumes:
            - name: tmp
              emptyDir: { sizeLimit: 16Mi }
{{- end -}}
