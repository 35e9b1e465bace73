{{/* One server: (dict "root" $ "values" .Values.objectstore). Its Secret is the umbrella's. */}}
{{- define "objectstore.objects" -}}
{{- $root := .root -}}{{- $values := .values -}}
{{- $name := include "saas.fullname" (list $root "objectstore") -}}
{{- $administrator := include "saas.serviceSecret" (list $root "objectstore") -}}
apiVersion: v1
kind: Service
metadata: {{- include "saas.metadata" (list $root "objectstore" $name) | nindent 2 }}
spec:
  selector: {{- include "saas.selectorLabels" (list $root "objectstore") | nindent 4 }}
  ports:
    - { name: s3, port: 9000, targetPort: s3, protocol: TCP }
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {{- include "saas.metadata" (list $root "objectstore" $name) | nindent 2 }}
spec:
  replicas: 1
  serviceName: {{ $name }}
  persistentVolumeClaimRetentionPolicy: { whenDeleted: {{ $root.Values.global.retainData | ternary "Retain" "Delete" }}, whenScaled: Retain }
  selector:
    matchLabels: {{- include "saas.selectorLabels" (list $root "objectstore") | nindent 6 }}
  template:
    metadata:
      labels: {{- include "saas.labels" (list $root "objectstore") | nindent 8 }}
      annotations:
        checksum/secrets: {{ include "saas.secretsChecksum" $root.Values.global | quote }}
    spec:
      {{- include "saas.podSecurity" (list $root) | nindent 6 }}
      terminationGracePeriodSeconds: 40
      {{- include "saas.placement" $values | nindent 6 }}
      containers:
        - name: objectstore
          image: {{ include "saas.image" (list $root $values.image) }}
          imagePullPolicy: {{ $values.image.pullPolicy }}
          {{- include "saas.containerSecurity" . | nindent 10 }}
          args: [server, --quiet, /data]
          env:
            - name: MINIO_ROOT_USER
              valueFrom: { secretKeyRef: { name: {{ $administrator }}, key: access-key } }
            - name: MINIO_ROOT_PASSWORD
              valueFrom: { secretKeyRef: { name: {{ $administrator }}, key: secret-key } }
            - { name: MINIO_BROWSER, value: 'off' }
            - { name: HOME, value: /tmp }
          ports:
            - { name: s3, containerPort: 9000, protocol: TCP }
          startupProbe:
            httpGet: { path: /minio/health/live, port: s3 }
            periodSeconds: 2
            failureThreshold: 60
          livenessProbe:
            httpGet: { path: /minio/health/live, port: s3 }
            periodSeconds: 10
            timeoutSeconds: 5
            failureThreshold: 6
          readinessProbe:
            httpGet: { path: /minio/health/ready, port: s3 }
            periodSeconds: 5
            timeoutSeconds: 3
          lifecycle:
            preStop: { sleep: { seconds: 5 } }
          resources: {{- toYaml $values.resources | nindent 12 }}
          volumeMounts:
            - { name: data, mountPath: /data }
            - { name: tmp, mountPath: /tmp }
      volumes:
        - name: tmp
          emptyDir: { sizeLimit: 64Mi }
  volumeClaimTemplates:
    - metadata: { name: data }
      spec:
        accessModes: [ReadWriteOnce]
        {{- with $values.storage.className }}
        storageClassName: {{ . }}
        {{- end }}
        resources: { requests: { storage: {{ $values.storage.size }} } }
{{- end -}}
