{{/* Crunchy's operator makes the servers, PgBouncer, the migrators and the databases; the provision Job does the rest. */}}
{{- define "postgres.pgo" -}}
{{- $root := .root -}}{{- $values := .values -}}{{- $cluster := $values.cluster -}}
{{- $name := include "saas.fullname" (list $root "postgres") -}}
apiVersion: postgres-operator.crunchydata.com/v1beta1
kind: PostgresCluster
metadata:
  {{- include "saas.metadata" (list $root "postgres" $name) | nindent 2 }}
  {{- include "postgres.keep" $root | nindent 2 }}
spec:
  postgresVersion: {{ $cluster.pgo.postgresVersion }}
  {{- with $cluster.pgo.image }}
  image: {{ include "postgres.operatorImage" (list $root .) }}
  {{- end }}
  {{- with $root.Values.global.imagePullSecrets }}
  imagePullSecrets: {{- toYaml . | nindent 4 }}
  {{- end }}
  instances:
    - name: server
      replicas: {{ $cluster.instances }}
      minAvailable: {{ sub $cluster.instances 1 }}
      resources: {{- toYaml $values.resources | nindent 8 }}
      dataVolumeClaimSpec: {{- include "postgres.claim" $values | nindent 8 }}
      {{- with $values.tolerations }}
      tolerations: {{- toYaml . | nindent 8 }}
      {{- end }}
      affinity: {{- include "postgres.affinity" (list $values (dict "postgres-operator.crunchydata.com/cluster" $name "postgres-operator.crunchydata.com/instance-set" "server")) | nindent 8 }}
  patroni:
    dynamicConfiguration:
      # A commit is answered when a second server has it, and without one not at all: nothing that was said to be done is lost.
      synchronous_mode: true
      synchronous_mode_strict: true
      postgresql:
        parameters:
          max_connections: {{ $cluster.connectionsMax }}
          timezone: UTC
  users:
    - name: postgres
    {{- range $service := .services }}
    {{- /* Whose password stands in a Secret of somebody's own, the provision Job makes: the operator would give it one of its own. */}}
    {{- if not (index ($root.Values.global.postgres.existingSecrets | default dict) $service) }}
    - name: {{ $service }}-migrator
      databases: [{{ $service }}]
    {{- end }}
    {{- end }}
  proxy:
    pgBouncer:
      replicas: {{ $cluster.poolers }}
      {{- with $cluster.pgo.pgBouncerImage }}
      image: {{ include "postgres.operatorImage" (list $root .) }}
      {{- end }}
      minAvailable: 1
      config:
        global: {{- include "postgres.poolerSettings" $cluster | nindent 10 }}
          pool_mode: transaction
      affinity: {{- include "postgres.affinity" (list (dict) (dict "postgres-operator.crunchydata.com/cluster" $name "postgres-operator.crunchydata.com/role" "pgbouncer")) | nindent 8 }}
  backups: {{- include "postgres.pgoBackups" . | nindent 4 }}
  {{- if $values.restore.backup }}
  dataSource:
    pgbackrest:
      stanza: db
      configuration:
        - secret:
            name: {{ $values.backup.existingSecret }}
            items: [{ key: s3.conf, path: s3.conf }]
      global:
        repo1-path: /{{ $values.restore.from | default (include "postgres.backupPrefix" $root) }}
        repo1-s3-uri-style: path
      {{- if ne $values.restore.backup "latest" }}
      options: [--type=time, {{ printf "--target=\"%s\"" $values.restore.backup | quote }}]
      {{- end }}
      repo:
        name: repo1
        s3: {{- include "postgres.pgoStore" . | nindent 10 }}
  {{- end }}
{{- end -}}

{{/* Where the operator looks for the password of a role: (list $root "postgres"). */}}
{{- define "postgres.pgoUserSecret" -}}
{{ include "saas.fullname" (list (index . 0) "postgres") }}-pguser-{{ index . 1 }}
{{- end -}}

{{- define "postgres.pgoUserLabels" -}}
postgres-operator.crunchydata.com/cluster: {{ include "saas.fullname" (list (index . 0) "postgres") }}
postgres-operator.crunchydata.com/role: pguser
postgres-operator.crunchydata.com/pguser: {{ index . 1 }}
{{- end -}}

{{/* Without an object store the operator keeps backups and the log on a volume of their own. */}}
{{- define "postgres.pgoBackups" -}}
{{- $root := .root -}}{{- $values := .values -}}{{- $backup := $values.backup -}}
pgbackrest:
  {{- with $values.cluster.pgo.pgBackRestImage }}
  image: {{ include "postgres.operatorImage" (list $root .) }}
  {{- end }}
  {{- if $backup.enabled }}
  configuration:
    - secret:
        name: {{ $backup.existingSecret }}
        items: [{ key: s3.conf, path: s3.conf }]
  {{- end }}
  global:
    repo1-retention-full: {{ $backup.keep | quote }}
    {{- if $backup.enabled }}
    repo1-path: /{{ include "postgres.backupPrefix" $root }}
    repo1-s3-uri-style: path
    {{- end }}
  repos:
    - name: repo1
      {{- if $backup.enabled }}
      schedules: { full: {{ $backup.schedule | quote }} }
      s3: {{- include "postgres.pgoStore" . | nindent 8 }}
      {{- else }}
      volume:
        volumeClaimSpec: {{- include "postgres.claim" $values | nindent 10 }}
      {{- end }}
{{- end -}}

{{- define "postgres.pgoStore" -}}
bucket: {{ include "postgres.backupBucket" (list .root .values) }}
endpoint: {{ .values.backup.endpoint | trimPrefix "https://" }}
region: {{ .values.backup.region }}
{{- end -}}
