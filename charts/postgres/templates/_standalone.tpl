{{/* One server: (dict "root" $ "values" .Values.postgres "services" $names). Its Secrets are the umbrella's. */}}
{{- define "postgres.standalone" -}}
{{- $root := .root -}}{{- $values := .values -}}
{{- $name := include "saas.fullname" (list $root "postgres") -}}
{{- $administrator := include "saas.serviceSecret" (list $root "postgres") -}}
apiVersion: v1
kind: Service
metadata: {{- include "saas.metadata" (list $root "postgres" $name) | nindent 2 }}
spec:
  selector: {{- include "saas.selectorLabels" (list $root "postgres") | nindent 4 }}
  ports:
    - { name: postgres, port: 5432, targetPort: postgres, protocol: TCP }
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {{- include "saas.metadata" (list $root "postgres" $name) | nindent 2 }}
spec:
  replicas: 1
  serviceName: {{ $name }}
  persistentVolumeClaimRetentionPolicy: { whenDeleted: {{ $root.Values.global.retainData | ternary "Retain" "Delete" }}, whenScaled: Retain }
  selector:
    matchLabels: {{- include "saas.selectorLabels" (list $root "postgres") | nindent 6 }}
  template:
    metadata:
      labels: {{- include "saas.labels" (list $root "postgres") | nindent 8 }}
      annotations:
        checksum/configuration: {{ printf "%s\n%s" (include "postgres.accessRules" .) (include "postgres.setPassword" .) | sha256sum | trunc 16 | quote }}
        checksum/secrets: {{ include "saas.secretsChecksum" $root.Values.global | quote }}
    spec:
      {{- include "saas.podSecurity" (list $root) | nindent 6 }}
      # A fast shutdown with a checkpoint.
      terminationGracePeriodSeconds: 120
      {{- include "saas.placement" $values | nindent 6 }}
      initContainers:
        {{- if $values.restore.backup }}
        - name: restore
          {{- include "saas.operationsContainer" (list $root .operationsImage) | nindent 10 }}
            - { name: data, mountPath: /var/lib/postgresql }
          args: [src/operations.ts, restore]
          env:
            {{- include "saas.env" (include "saas.nodeOptions" $values.backup.resources) | nindent 12 }}
            - { name: RESTORE_BACKUP, value: {{ $values.restore.backup | quote }} }
            - { name: BACKUP_PREFIX, value: {{ $values.restore.from | default (include "postgres.backupPrefix" $root) | quote }} }
            - { name: DATA_DIRECTORY, value: {{ include "postgres.dataDirectory" $values }} }
            {{- include "postgres.backupStore" . | nindent 12 }}
          resources: {{- toYaml $values.backup.resources | nindent 12 }}
        {{- end }}
        # A volume remembers the administrator's password of its first day.
        - name: set-password
          {{- include "postgres.container" (list $root $values) | nindent 10 }}
          command: [sh, /etc/postgres/set-password.sh]
          env:
            - name: POSTGRES_PASSWORD
              valueFrom: { secretKeyRef: { name: {{ $administrator }}, key: password } }
            - { name: PGDATA, value: {{ include "postgres.dataDirectory" $values }} }
          resources: {{- toYaml $values.resources | nindent 12 }}
          volumeMounts:
            - { name: data, mountPath: /var/lib/postgresql }
            - { name: configuration, mountPath: /etc/postgres, readOnly: true }
            - { name: tmp, mountPath: /tmp }
            - { name: shared-memory, mountPath: /dev/shm }
      containers:
        - name: postgres
          {{- include "postgres.container" (list $root $values) | nindent 10 }}
          args: [-c, max_connections={{ $values.connectionsMax }}, -c, timezone=UTC, -c, hba_file=/etc/postgres/pg_hba.conf]
          env:
            - name: POSTGRES_PASSWORD
              valueFrom: { secretKeyRef: { name: {{ $administrator }}, key: password } }
            - { name: PGDATA, value: {{ include "postgres.dataDirectory" $values }} }
            - { name: POSTGRES_INITDB_ARGS, value: --encoding=UTF8 --locale=C.UTF-8 --data-checksums }
          ports:
            - { name: postgres, containerPort: 5432, protocol: TCP }
          # The server that fills a new data folder listens on no address, so this waits for the real one. Recovery after
          # a crash may take minutes.
          startupProbe:
            exec: { command: [pg_isready, --host=127.0.0.1, --username=postgres] }
            periodSeconds: 2
            failureThreshold: 450
          livenessProbe:
            tcpSocket: { port: postgres }
            periodSeconds: 10
            failureThreshold: 6
          readinessProbe:
            exec: { command: [pg_isready, --host=127.0.0.1, --username=postgres] }
            periodSeconds: 5
            timeoutSeconds: 3
          lifecycle:
            preStop: { sleep: { seconds: 2 } }
          resources: {{- toYaml $values.resources | nindent 12 }}
          volumeMounts:
            - { name: data, mountPath: /var/lib/postgresql }
            - { name: configuration, mountPath: /etc/postgres, readOnly: true }
            - { name: run, mountPath: /var/run/postgresql }
            - { name: tmp, mountPath: /tmp }
            - { name: shared-memory, mountPath: /dev/shm }
      volumes:
        - name: configuration
          configMap:
            name: {{ $name }}
            items: [{ key: pg_hba.conf, path: pg_hba.conf }, { key: set-password.sh, path: set-password.sh }]
        - name: run
          emptyDir: { sizeLimit: 1Mi }
        - name: tmp
          emptyDir: { sizeLimit: 256Mi }
        - name: shared-memory
          emptyDir: { medium: Memory, sizeLimit: 64Mi }
  volumeClaimTemplates:
    - metadata: { name: data }
      spec:
        accessModes: [ReadWriteOnce]
        {{- with $values.storage.className }}
        storageClassName: {{ . }}
        {{- end }}
        resources: { requests: { storage: {{ $values.storage.size }} } }
{{- if $values.backup.enabled }}
---
{{ include "postgres.backupJob" . }}
{{- end }}
{{- end -}}

{{/* As the official image lays it out, by its major version. */}}
{{- define "postgres.dataDirectory" -}}
/var/lib/postgresql/{{ regexFind "^[0-9]+" .image.tag | default "18" }}/docker
{{- end -}}

{{/* Who may sign in from where. Through the socket come only programs in the server's own container. */}}
{{- define "postgres.accessRules" -}}
local all all trust
host replication backup all scram-sha-256
host replication all all reject
host all all all scram-sha-256
{{- end -}}

{{/* Starts the server for a moment where nobody can reach it. A folder without a database is filled by the image later. */}}
{{- define "postgres.setPassword" -}}
set -eu
[ -s "$PGDATA/PG_VERSION" ] || exit 0
scratch=${TMPDIR:-/tmp}
echo 'local all postgres trust' >"$scratch/pg_hba.conf"
pg_ctl --pgdata="$PGDATA" --wait --timeout=86400 --silent \
  --options="-c listen_addresses= -c unix_socket_directories=$scratch -c hba_file=$scratch/pg_hba.conf" start
changed=0
psql --no-psqlrc --quiet --host="$scratch" --username=postgres --dbname=postgres --set=ON_ERROR_STOP=1 <<'END' || changed=$?
\getenv password POSTGRES_PASSWORD
alter role postgres with password :'password';
END
pg_ctl --pgdata="$PGDATA" --wait --timeout=86400 --silent --mode=fast stop
exit "$changed"
{{- end -}}
