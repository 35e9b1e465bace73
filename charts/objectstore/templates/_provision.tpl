{{/*
The Job that gives each user of the store a bucket and a key that opens no other (packages/operations), over the administrative
API of MinIO: (dict "root" $ "image" .Values.auth.image "values" .Values.objectstore "users" $buckets). A Job cannot be changed, so its
name carries a hash.
*/}}
{{- define "objectstore.provisionJob" -}}
{{- $template := include "objectstore.provisionPod" . -}}
apiVersion: batch/v1
kind: Job
metadata: {{- include "saas.metadata" (list .root "objectstore-provision" (printf "%s-%s" (include "saas.fullname" (list .root "objectstore-provision")) ($template | sha256sum | trunc 8))) | nindent 2 }}
spec:
  backoffLimit: 20
  template: {{- $template | nindent 4 }}
{{- end -}}

{{- define "objectstore.provisionPod" -}}
{{- $root := .root -}}{{- $values := .values -}}
{{- $administrator := include "saas.serviceSecret" (list $root "objectstore") -}}
{{- $resources := dict "requests" (dict "cpu" "10m" "memory" "64Mi") "limits" (dict "memory" "128Mi") -}}
metadata:
  labels: {{- include "saas.selectorLabels" (list $root "objectstore-provision") | nindent 4 }}
  annotations:
    checksum/secrets: {{ include "saas.secretsChecksum" $root.Values.global | quote }}
spec:
  restartPolicy: OnFailure
  {{- include "saas.podSecurity" (list $root) | nindent 2 }}
  {{- include "saas.placement" $values | nindent 2 }}
  containers:
    - name: provision
      {{- include "saas.operationsContainer" (list $root .image) | nindent 6 }}
      args: [src/operations.ts, object-store-keys]
      env:
        {{- include "saas.env" (include "saas.nodeOptions" $resources) | nindent 8 }}
        - { name: S3_ENDPOINT, value: {{ include "saas.objectStoreEndpoint" $root | quote }} }
        - { name: S3_REGION, value: {{ $root.Values.global.objectStore.region | quote }} }
        - name: ROOT_ACCESS_KEY
          valueFrom: { secretKeyRef: { name: {{ $administrator }}, key: access-key } }
        - name: ROOT_SECRET_KEY
          valueFrom: { secretKeyRef: { name: {{ $administrator }}, key: secret-key } }
        - { name: BUCKET_USERS, value: {{ keys .users | sortAlpha | join " " | quote }} }
        {{- range $user, $bucket := .users }}
        {{- $variable := $user | upper | replace "-" "_" }}
        {{- $secret := include "saas.bucketSecret" (list $root $user) }}
        - { name: BUCKET_{{ $variable }}, value: {{ $bucket | quote }} }
        - name: ACCESS_KEY_{{ $variable }}
          valueFrom: { secretKeyRef: { name: {{ $secret }}, key: access-key } }
        - name: SECRET_KEY_{{ $variable }}
          valueFrom: { secretKeyRef: { name: {{ $secret }}, key: secret-key } }
        {{- end }}
      resources: {{- toYaml $resources | nindent 8 }}
  volumes:
    - name: tmp
      emptyDir: { sizeLimit: 16Mi }
{{- end -}}
