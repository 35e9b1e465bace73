{{/* CloudNativePG makes the servers, PgBouncer, the roles and the databases; the provision Job does the rest. */}}
{{- define "postgres.cnpg" -}}
{{- $root := .root -}}{{- $values := .values -}}{{- $cluster := $values.cluster -}}
{{- $name := include "saas.fullname" (list $root "postgres") -}}
{{- $pullSecrets := $root.Values.global.imagePullSecrets -}}
{{- $administrator := $root.Values.global.secrets.existing.postgres -}}
{{- $given := $root.Values.global.postgres.existingSecrets | default dict -}}
apiVersion: postgresql.cnpg.io/v1
kind: Cluster
metadata:
  {{- include "saas.metadata" (list $root "postgres" $name) | nindent 2 }}
  {{- include "postgres.keep" $root | nindent 2 }}
spec:
  instances: {{ $cluster.instances }}
  imageName: {{ include "postgres.operatorImage" (list $root $cluster.cnpg.image) }}
  {{- with $pullSecrets }}
  imagePullSecrets: {{- toYaml . | nindent 4 }}
  {{- end }}
  enableSuperuserAccess: true
  superuserSecret: { name: {{ $administrator | default (printf "%s-role-postgres" $name) }} }
  bootstrap:
    {{- if $values.restore.backup }}
    recovery:
      source: backup
      database: saas
      owner: saas
      {{- if not $administrator }}
      secret: { name: {{ $name }}-role-saas }
      {{- end }}
      {{- if ne $values.restore.backup "latest" }}
      recoveryTarget: { targetTime: {{ $values.restore.backup | quote }} }
      {{- end }}
  externalClusters:
    - name: backup
      barmanObjectStore:
        {{- include "postgres.barman" . | nindent 8 }}
        serverName: {{ $values.restore.from | default $name }}
    {{- else }}
    initdb:
      database: saas
      owner: saas
      {{- if not $administrator }}
      secret: { name: {{ $name }}-role-saas }
      {{- end }}
      dataChecksums: true
      encoding: UTF8
      locale: C.UTF-8
    {{- end }}
  certificates:
    # The pooler shows the servers' certificate.
    serverAltDNSNames: [{{ $name }}-pooler]
  managed:
    roles:
      {{- range $service := .services }}
      {{- range $role := list $service (printf "%s_migrator" $service) }}
      - name: {{ $role }}
        ensure: present
        login: true
        {{- /* The operator leaves a password alone that it is not told of, and the provision Job sets it. */}}
        {{- if not (index $given $service) }}
        passwordSecret: { name: {{ $name }}-role-{{ $role | replace "_" "-" }} }
        {{- end }}
      {{- end }}
      {{- end }}
  postgresql:
    parameters:
      max_connections: {{ $cluster.connectionsMax | quote }}
      timezone: UTC
    # A commit is answered when a second server has it, and without one not at all. Only who surely has all takes over.
    synchronous: { method: any, number: 1, dataDurability: required, failoverQuorum: true }
  storage:
    size: {{ $values.storage.size }}
    {{- with $values.storage.className }}
    storageClass: {{ . }}
    {{- end }}
  resources: {{- toYaml $values.resources | nindent 4 }}
  affinity:
    enablePodAntiAffinity: true
    podAntiAffinityType: preferred
    topologyKey: kubernetes.io/hostname
    {{- with $values.nodeSelector }}
    nodeSelector: {{- toYaml . | nindent 6 }}
    {{- end }}
    {{- with $values.tolerations }}
    tolerations: {{- toYaml . | nindent 6 }}
    {{- end }}
  {{- if $values.backup.enabled }}
  backup:
    barmanObjectStore:
      {{- include "postgres.barman" . | nindent 6 }}
      # A cluster that was restored begins a log of its own.
      {{- with $values.restore.backup }}
      serverName: {{ printf "%s-%s" $name (printf "%s %s" . $values.restore.from | sha256sum | trunc 8) }}
      {{- end }}
    retentionPolicy: {{ $values.backup.keep }}d
  {{- end }}
---
apiVersion: postgresql.cnpg.io/v1
kind: Pooler
metadata: {{- include "saas.metadata" (list $root "postgres" (printf "%s-pooler" $name)) | nindent 2 }}
spec:
  cluster: { name: {{ $name }} }
  instances: {{ $cluster.poolers }}
  type: rw
  {{- if $pullSecrets }}
  template:
    spec:
      containers: []
      imagePullSecrets: {{- toYaml $pullSecrets | nindent 8 }}
  {{- end }}
  pgbouncer:
    poolMode: transaction
    parameters: {{- include "postgres.poolerSettings" $cluster | nindent 6 }}
{{- range $service := .services }}
---
apiVersion: postgresql.cnpg.io/v1
kind: Database
metadata:
  {{- include "saas.metadata" (list $root "postgres" (printf "%s-%s" $name $service)) | nindent 2 }}
  {{- include "postgres.keep" $root | nindent 2 }}
spec:
  cluster: { name: {{ $name }} }
  name: {{ $service }}
  owner: {{ $service }}_migrator
  databaseReclaimPolicy: retain
{{- end }}
{{- if $values.backup.enabled }}
---
apiVersion: postgresql.cnpg.io/v1
kind: ScheduledBackup
metadata: {{- include "saas.metadata" (list $root "postgres" (printf "%s-backup" $name)) | nindent 2 }}
spec:
  cluster: { name: {{ $name }} }
  # Its first field is the second.
  schedule: {{ printf "0 %s" $values.backup.schedule | quote }}
  method: barmanObjectStore
  backupOwnerReference: self
{{- end }}
{{- end -}}

{{/* Where backups and the log go: base backups and everything between them. */}}
{{- define "postgres.barman" -}}
{{- $secret := include "postgres.backupSecret" (list .root .values) -}}
destinationPath: s3://{{ include "postgres.backupBucket" (list .root .values) }}/{{ include "postgres.backupPrefix" .root }}
endpointURL: {{ include "postgres.backupEndpoint" (list .root .values) }}
s3Credentials:
  accessKeyId: { name: {{ $secret }}, key: access-key }
  secretAccessKey: { name: {{ $secret }}, key: secret-key }
wal: { compression: gzip }
data: { compression: gzip }
{{- end -}}
