{{/* nginx with its files: (list $root $files). */}}
{{- define "edge.deployment" -}}
{{- $root := index . 0 -}}{{- $files := index . 1 -}}
{{- $values := $root.Values -}}
{{- $name := include "saas.fullname" (list $root "edge") -}}
apiVersion: apps/v1
kind: Deployment
metadata: {{- include "saas.metadata" (list $root "edge" $name) | nindent 2 }}
spec:
  {{- if not $values.autoscaling.enabled }}
  replicas: {{ $values.replicas }}
  {{- end }}
  revisionHistoryLimit: 5
  strategy:
    type: RollingUpdate
    rollingUpdate: { maxUnavailable: 0, maxSurge: 1 }
  selector:
    matchLabels: {{- include "saas.selectorLabels" (list $root "edge") | nindent 6 }}
  template:
    metadata:
      labels: {{- include "saas.labels" (list $root "edge") | nindent 8 }}
        {{- with $values.podLabels }}{{- toYaml . | nindent 8 }}{{- end }}
      annotations:
        checksum/configuration: {{ $files | toJson | sha256sum | trunc 16 | quote }}
        {{- with $values.podAnnotations }}{{- toYaml . | nindent 8 }}{{- end }}
    spec:
      {{- include "saas.podSecurity" (list $root) | nindent 6 }}
      # Workers end their requests within 30 seconds.
      terminationGracePeriodSeconds: 45
      {{- include "saas.spread" (list $root "edge") | nindent 6 }}
      {{- include "saas.placement" $values | nindent 6 }}
      containers:
        - name: nginx
          image: {{ include "saas.image" (list $root $values.image) }}
          imagePullPolicy: {{ $values.image.pullPolicy }}
          {{- include "saas.containerSecurity" $root | nindent 10 }}
          command: [nginx, -p, /edge, -c, /etc/edge/nginx.conf, -e, stderr, -g, daemon off;]
          ports:
            - { name: http, containerPort: 8080, protocol: TCP }
            {{- if $values.tls.secret }}
            - { name: https, containerPort: 8443, protocol: TCP }
            {{- end }}
            - { name: operations, containerPort: 9000, protocol: TCP }
          startupProbe:
            httpGet: { path: /healthz, port: operations }
            periodSeconds: 1
            failureThreshold: 30
          livenessProbe:
            httpGet: { path: /healthz, port: operations }
            periodSeconds: 10
            timeoutSeconds: 5
          readinessProbe:
            httpGet: { path: /healthz, port: operations }
            periodSeconds: 2
            timeoutSeconds: 2
          lifecycle:
            preStop: { sleep: { seconds: 5 } }
          resources: {{- toYaml $values.resources | nindent 12 }}
          volumeMounts:
            - { name: configuration, mountPath: /etc/edge, readOnly: true }
            {{- if $values.tls.secret }}
            - { name: certificate, mountPath: /etc/certificate, readOnly: true }
            {{- end }}
            - { name: run, mountPath: /edge/run }
            - { name: tmp, mountPath: /tmp }
      volumes:
        - name: configuration
          configMap: { name: {{ $name }} }
        {{- with $values.tls.secret }}
        - name: certificate
          secret: { secretName: {{ . }}, defaultMode: 0440 }
        {{- end }}
        # Bodies in transit, and answers kept for a second (128 MB at most).
        - name: run
          emptyDir: { sizeLimit: 512Mi }
        - name: tmp
          emptyDir: { sizeLimit: 16Mi }
{{- end -}}
