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

{{/*
The same of a service that decodes pictures: their process is in the same container, and gets two fifths of the limit, at most 160 MiB.
*/}}
{{- define "saas.memoryWithPictures" -}}
{{- $limit := include "saas.mebibytes" .limits.memory | int -}}{{- $pictures := min 160 (div (mul $limit 2) 5) -}}
NODE_OPTIONS: --max-old-space-size={{ div (mul (sub $limit $pictures) 3) 4 }}
PICTURE_MEMORY_MIB: {{ $pictures | quote }}
{{- end -}}

{{/* A size in whole MiB, or nothing where it is said in another unit. */}}
{{- define "saas.mebibytes" -}}
{{- with get (dict "Mi" 1 "Gi" 1024 "Ti" 1048576) (regexFind "[MGT]i$" .) -}}{{ mul (regexFind "^[0-9]+" $ | int64) . }}{{- end -}}
{{- end -}}

{{/* Three quarters of a memory limit, in MiB, for the heap of Node. */}}
{{- define "saas.heapMiB" -}}
{{ div (mul (include "saas.mebibytes" . | int) 3) 4 }}
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
