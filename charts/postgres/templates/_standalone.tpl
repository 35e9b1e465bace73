{{/* One server: (dict "root" $ "values" .Values.postgres "services" $names). Its Secrets are the umbrella's. */}}
{{- define "postgres.standalone" -}}
{{- $root := .root -}}{{- $values := .values -}}
{{- $name := include "saas.fullname" (list $root "postgres") -}}
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
{{- end -}}
