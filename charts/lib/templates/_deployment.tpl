{{- define "saas.deployment" -}}
{{- $name := .Chart.Name -}}
apiVersion: apps/v1
kind: Deployment
metadata: {{- include "saas.metadata" (list . $name (include "saas.fullname" (list . $name))) | nindent 2 }}
spec:
  {{- if not .Values.autoscaling.enabled }}
  replicas: {{ .Values.replicas }}
  {{- end }}
  revisionHistoryLimit: 5
  strategy:
    type: RollingUpdate
    rollingUpdate: { maxUnavailable: 0, maxSurge: 1 }
  selector:
    matchLabels: {{- include "saas.selectorLabels" (list . $name) | nindent 6 }}
  template:
    metadata:
      labels: {{- include "saas.labels" (list . $name) | nindent 8 }}
        {{- with .Values.podLabels }}{{- toYaml . | nindent 8 }}{{- end }}
      annotations:
        checksum/secrets: {{ include "saas.secretsChecksum" .Values.global | quote }}
        {{- with .Values.podAnnotations }}{{- toYaml . | nindent 8 }}{{- end }}
    spec:
      {{- include "saas.podSecurity" (list .) | nindent 6 }}
      # In 5 seconds the last new requests arrive (preStop), what has begun ends within 25 more, and the rest takes at most 15.
      terminationGracePeriodSeconds: 45
      {{- include "saas.spread" (list . $name) | nindent 6 }}
      {{- include "saas.placement" .Values | nindent 6 }}
      {{- if .Values.needs.database }}
      initContainers:
        - name: wait-for-schema
          {{- include "saas.serviceContainer" . | nindent 10 }}
          args: [src/migrate.ts, --wait-for-schema]
          env: {{- include "saas.env" (printf "%s\n%s" (include "saas.databaseUrl" (list . "DATABASE_URL" "uri")) (include "saas.nodeOptions" .Values.resources)) | nindent 12 }}
      {{- end }}
      containers:
        - name: {{ $name }}
          {{- include "saas.serviceContainer" . | nindent 10 }}
          env: {{- include "saas.env" (include "saas.environment" .) | nindent 12 }}
          ports:
            - { name: http, containerPort: 3000, protocol: TCP }
            - { name: operations, containerPort: 9000, protocol: TCP }
          startupProbe:
            httpGet: { path: /healthz, port: operations }
            periodSeconds: 1
            failureThreshold: 60
          livenessProbe:
            httpGet: { path: /healthz, port: operations }
            periodSeconds: 10
            timeoutSeconds: 5
            failureThreshold: 3
          # A check of a dependency takes at most 2 seconds.
          readinessProbe:
            httpGet: { path: /readyz, port: operations }
            periodSeconds: 5
            timeoutSeconds: 3
            failureThreshold: 2
          lifecycle:
            preStop: { sleep: { seconds: 5 } }
      volumes: {{- include "saas.serviceVolumes" . | nindent 8 }}
{{- end -}}

{{/* What every container of a service's image has. */}}
{{- define "saas.serviceContainer" -}}
image: {{ include "saas.image" (list . .Values.image) }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
{{ include "saas.containerSecurity" . }}
resources: {{- toYaml .Values.resources | nindent 2 }}
volumeMounts:
  - { name: tmp, mountPath: /tmp }
  {{- if and .Values.needs.database (include "saas.postgresCa" .) }}
  - { name: postgres-ca, mountPath: /etc/postgres-ca, readOnly: true }
  {{- end }}
{{- end -}}

{{/* And every pod of it. */}}
{{- define "saas.serviceVolumes" -}}
- name: tmp
  emptyDir: { sizeLimit: 64Mi }
{{- if .Values.needs.database }}
{{- with include "saas.postgresCa" . }}
- name: postgres-ca
  secret: {{- include "saas.postgresCaSecret" . | nindent 4 }}
{{- end }}
{{- end }}
{{- end -}}

{{/* Where pods may run, passed through as it is. */}}
{{- define "saas.placement" -}}
{{- with .nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}
