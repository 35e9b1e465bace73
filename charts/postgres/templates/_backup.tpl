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
