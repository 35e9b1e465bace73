{{/* All objects of the broker: (dict "root" $ "values" .Values.nats "users" $users). Their Secret is the umbrella's. */}}
{{- define "nats.objects" -}}
{{- $root := .root -}}{{- $values := .values -}}
{{- $name := include "saas.fullname" (list $root "nats") -}}
{{- $replicas := $root.Values.global.nats.replicas | int -}}
{{- $configuration := include "nats.configuration" . -}}
apiVersion: v1
kind: ConfigMap
metadata: {{- include "saas.metadata" (list $root "nats" $name) | nindent 2 }}
data:
  nats.conf: {{- $configuration | toYaml | nindent 4 }}
---
apiVersion: v1
kind: Service
metadata: {{- include "saas.metadata" (list $root "nats" $name) | nindent 2 }}
spec:
  selector: {{- include "saas.selectorLabels" (list $root "nats") | nindent 4 }}
  ports:
    - { name: client, port: 4222, targetPort: client, protocol: TCP }
---
# The nodes find each other here before they are ready.
apiVersion: v1
kind: Service
metadata: {{- include "saas.metadata" (list $root "nats" (printf "%s-nodes" $name)) | nindent 2 }}
spec:
  clusterIP: None
  publishNotReadyAddresses: true
  selector: {{- include "saas.selectorLabels" (list $root "nats") | nindent 4 }}
  ports:
    - { name: cluster, port: 6222, targetPort: cluster, protocol: TCP }
{{- if gt $replicas 1 }}
---
{{ include "saas.disruptionBudget" (list $root "nats") }}
{{- end }}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {{- include "saas.metadata" (list $root "nats" $name) | nindent 2 }}
spec:
  replicas: {{ $replicas }}
  serviceName: {{ $name }}-nodes
  # Nodes need each other to become ready.
  podManagementPolicy: Parallel
  persistentVolumeClaimRetentionPolicy: { whenDeleted: {{ $root.Values.global.retainData | ternary "Retain" "Delete" }}, whenScaled: Retain }
  selector:
    matchLabels: {{- include "saas.selectorLabels" (list $root "nats") | nindent 6 }}
  template:
    metadata:
      labels: {{- include "saas.labels" (list $root "nats") | nindent 8 }}
      annotations:
        checksum/configuration: {{ $configuration | sha256sum | trunc 16 | quote }}
        checksum/secrets: {{ include "saas.secretsChecksum" $root.Values.global | quote }}
    spec:
      {{- include "saas.podSecurity" (list $root) | nindent 6 }}
      # Longer than the lame duck, in which clients move to another node.
      terminationGracePeriodSeconds: 60
      {{- include "saas.spread" (list $root "nats") | nindent 6 }}
      {{- include "saas.placement" $values | nindent 6 }}
      containers:
        - name: nats
          image: {{ include "saas.image" (list $root $values.image) }}
          imagePullPolicy: {{ $values.image.pullPolicy }}
          {{- include "saas.containerSecurity" . | nindent 10 }}
          command: [nats-server, --config, /etc/nats/nats.conf]
          env:
            - name: POD_NAME
              valueFrom: { fieldRef: { fieldPath: metadata.name } }
            - name: GOMEMLIMIT
              value: {{ include "saas.heapMiB" $values.resources.limits.memory }}MiB
            {{- if gt $replicas 1 }}
            - name: ROUTE_PASSWORD
              valueFrom: { secretKeyRef: { name: {{ include "saas.serviceSecret" (list $root "nats") }}, key: route-password } }
            {{- range $index := until $replicas }}
            - name: ROUTE_{{ $index }}
              value: '"nats://route:$(ROUTE_PASSWORD)@{{ $name }}-{{ $index }}.{{ $name }}-nodes:6222"'
            {{- end }}
            {{- end }}
            {{- range $service, $needs := .users }}
            - name: PASSWORD_{{ $service | upper }}
              valueFrom: { secretKeyRef: { name: {{ include "saas.serviceSecret" (list $root $service) }}, key: nats-password } }
            {{- end }}
          ports:
            - { name: client, containerPort: 4222, protocol: TCP }
            - { name: cluster, containerPort: 6222, protocol: TCP }
            - { name: operations, containerPort: 8222, protocol: TCP }
          startupProbe:
            httpGet: { path: /healthz, port: operations }
            periodSeconds: 2
            failureThreshold: 150
          livenessProbe:
            httpGet: { path: '/healthz?js-enabled-only=true', port: operations }
            periodSeconds: 10
            timeoutSeconds: 5
            failureThreshold: 6
          readinessProbe:
            httpGet: { path: '/healthz?js-server-only=true', port: operations }
            periodSeconds: 5
            timeoutSeconds: 3
          lifecycle:
            # Signals the server itself to become a lame duck: clients leave it one by one.
            preStop: { exec: { command: [nats-server, --signal, ldm=/tmp/nats.pid] } }
          resources: {{- toYaml $values.resources | nindent 12 }}
          volumeMounts:
            - { name: configuration, mountPath: /etc/nats, readOnly: true }
            - { name: data, mountPath: /data }
            - { name: tmp, mountPath: /tmp }
      volumes:
        - name: configuration
          configMap: { name: {{ $name }} }
        - name: tmp
          emptyDir: { sizeLimit: 16Mi }
  volumeClaimTemplates:
    - metadata: { name: data }
      spec:
        accessModes: [ReadWriteOnce]
        {{- with $values.storage.className }}
        storageClassName: {{ . }}
        {{- end }}
        resources: { requests: { storage: {{ $values.storage.size }} } }
{{- end -}}
