{{/* Pod Security `restricted`, and no token of the API server: what every pod of the shop has. (list $root) */}}
{{- define "saas.podSecurity" -}}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: { type: RuntimeDefault }
{{- with (index . 0).Values.global.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* The same for every container. */}}
{{- define "saas.containerSecurity" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: { drop: [ALL] }
{{- end -}}

{{/* Replicas on different nodes and zones, where there are some: (list $root "orders"). */}}
{{- define "saas.spread" -}}
topologySpreadConstraints:
  {{- range $key := list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
  - maxSkew: 1
    topologyKey: {{ $key }}
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels: {{- include "saas.selectorLabels" $ | nindent 8 }}
  {{- end }}
{{- end -}}

{{/* The environment by which Node collects before the kernel kills it: the resources of a container. */}}
{{- define "saas.nodeOptions" -}}
NODE_OPTIONS: --max-old-space-size={{ include "saas.heapMiB" .limits.memory }}
{{- end -}}

{{/* Three quarters of a memory limit, in MiB, for the heap of Node. */}}
{{- define "saas.heapMiB" -}}
{{- if hasSuffix "Gi" . -}}{{ div (mul (trimSuffix "Gi" . | int) 1024 3) 4 }}
{{- else -}}{{ div (mul (trimSuffix "Mi" . | int) 3) 4 }}
{{- end -}}
{{- end -}}

{{/* Changes when the secrets are said to have changed, so that pods are replaced: .Values.global. */}}
{{- define "saas.secretsChecksum" -}}
{{- printf "secrets:%v:%s:%s" .secrets.rotation .secrets.seed (toJson .secrets.generations) | sha256sum | trunc 16 -}}
{{- end -}}

{{/* A container that runs a program of packages/operations; the image of auth has them: (list $root .Values.auth.image). */}}
{{- define "saas.operationsContainer" -}}
image: {{ include "saas.image" . }}
imagePullPolicy: {{ (index . 1).pullPolicy }}
{{ include "saas.containerSecurity" . }}
volumeMounts:
  - { name: tmp, mountPath: /tmp }
{{- end -}}
