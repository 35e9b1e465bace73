{{/* One server: (dict "root" $ "values" .Values.postgres "services" $names). Its Secrets are the umbrella's. */}}
{{- define "postgres.standalone" -}}
{{- $root := .root -}}{{- $values := .values -}}
{{- $name := include "saas.fullname" (list $root "postgres") -}}
{{- $provision := include "postgres.provision" .services -}}
apiVersion: v1
kind: ConfigMap
metadata: {{- include "saas.metadata" (list $root "postgres" $name) | nindent 2 }}
data:
  provision.sql: {{- $provision | toYaml | nindent 4 }}
---
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
    spec:
      {{- include "saas.podSecurity" (list $root) | nindent 6 }}
      # A fast shutdown with a checkpoint.
      terminationGracePeriodSeconds: 120
      {{- include "saas.placement" $values | nindent 6 }}
      containers:
        - name: postgres
          {{- include "postgres.container" (list $root $values) | nindent 10 }}
          args: [-c, max_connections={{ $values.connectionsMax }}, -c, timezone=UTC]
          env:
            - name: POSTGRES_PASSWORD
              valueFrom: { secretKeyRef: { name: {{ $name }}, key: password } }
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
            - { name: run, mountPath: /var/run/postgresql }
            - { name: tmp, mountPath: /tmp }
            - { name: shared-memory, mountPath: /dev/shm }
      volumes:
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
---
{{ include "postgres.provisionJob" . }}
{{- end -}}

{{/* The image as every container here runs it. */}}
{{- define "postgres.container" -}}
image: {{ include "saas.image" (list (index . 0) (index . 1).image) }}
imagePullPolicy: {{ (index . 1).image.pullPolicy }}
{{ include "saas.containerSecurity" . }}
{{- end -}}

{{/* A Job cannot be changed, so its name carries a hash of all that matters in it. */}}
{{- define "postgres.provisionJob" -}}
{{- $template := include "postgres.provisionPod" . -}}
{{- $hash := printf "%s\n%s" $template (include "postgres.provision" .services) | sha256sum | trunc 8 -}}
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
      command: [sh, -c, 'until pg_isready --quiet --host={{ $name }} --username=postgres; do sleep 1; done']
      resources: {{- include "postgres.jobResources" . | nindent 8 }}
  containers:
    - name: provision
      {{- include "postgres.container" (list $root $values) | nindent 6 }}
      command: [psql, --no-psqlrc, --quiet, --file=/etc/provision/provision.sql]
      env:
        - { name: PGHOST, value: {{ $name }} }
        - { name: PGUSER, value: postgres }
        - name: PGPASSWORD
          valueFrom: { secretKeyRef: { name: {{ $name }}, key: password } }
        {{- range $service := .services }}
        {{- $secret := printf "%s-database" (include "saas.fullname" (list $root $service)) }}
        - name: PASSWORD_{{ $service | upper }}
          valueFrom: { secretKeyRef: { name: {{ $secret }}, key: password } }
        - name: MIGRATOR_PASSWORD_{{ $service | upper }}
          valueFrom: { secretKeyRef: { name: {{ $secret }}, key: migrator-password } }
        {{- end }}
      resources: {{- include "postgres.jobResources" . | nindent 8 }}
      volumeMounts:
        - { name: provision, mountPath: /etc/provision, readOnly: true }
  volumes:
    - name: provision
      configMap: { name: {{ $name }} }
{{- end -}}

{{- define "postgres.jobResources" -}}
requests: { cpu: 10m, memory: 32Mi }
limits: { memory: 64Mi }
{{- end -}}
