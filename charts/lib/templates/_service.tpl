{{/* All objects of a service, from its values: the one line of its chart. */}}
{{- define "saas.service" -}}
{{- $full := include "saas.fullname" (list . .Chart.Name) -}}
{{- $overrides := .Values.overrides -}}
{{ include "saas.overridden" (list (include "saas.serviceObject" .) $overrides.service) }}
---
{{ include "saas.overridden" (list (include "saas.deployment" .) $overrides.deployment) }}
{{- if .Values.needs.database }}
---
{{ include "saas.overridden" (list (include "saas.migration" .) $overrides.job) }}
{{- end }}
{{- if .Values.autoscaling.enabled }}
---
{{ include "saas.overridden" (list (include "saas.autoscaler" .) $overrides.horizontalPodAutoscaler) }}
{{- end }}
{{- if gt (include "saas.replicasMin" . | int) 1 }}
---
{{ include "saas.overridden" (list (include "saas.disruptionBudget" (list . .Chart.Name)) $overrides.podDisruptionBudget) }}
{{- end }}
{{- end -}}

{{- define "saas.replicasMin" -}}
{{- if .Values.autoscaling.enabled -}}{{ .Values.autoscaling.minReplicas }}{{- else -}}{{ .Values.replicas }}{{- end -}}
{{- end -}}

{{/* The operations port is not in it: nothing routes there. */}}
{{- define "saas.serviceObject" -}}
apiVersion: v1
kind: Service
metadata: {{- include "saas.metadata" (list . .Chart.Name (include "saas.fullname" (list . .Chart.Name))) | nindent 2 }}
spec:
  selector: {{- include "saas.selectorLabels" (list . .Chart.Name) | nindent 4 }}
  ports:
    - { name: http, port: 3000, targetPort: http, protocol: TCP }
{{- end -}}

{{- define "saas.disruptionBudget" -}}
{{- $root := index . 0 -}}{{- $name := index . 1 -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {{- include "saas.metadata" (list $root $name (include "saas.fullname" (list $root $name))) | nindent 2 }}
spec:
  maxUnavailable: 1
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels: {{- include "saas.selectorLabels" (list $root $name) | nindent 6 }}
{{- end -}}

{{- define "saas.autoscaler" -}}
{{- $full := include "saas.fullname" (list . .Chart.Name) -}}
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {{- include "saas.metadata" (list . .Chart.Name $full) | nindent 2 }}
spec:
  scaleTargetRef: { apiVersion: apps/v1, kind: Deployment, name: {{ $full }} }
  minReplicas: {{ .Values.autoscaling.minReplicas }}
  maxReplicas: {{ .Values.autoscaling.maxReplicas }}
  metrics:
    - type: Resource
      resource:
        name: cpu
        # Of one processor, and not of what the pod asks for, which is little more than it takes at rest.
        target: { type: AverageValue, averageValue: {{ mul 10 (int .Values.autoscaling.targetCpuPercent) }}m }
{{- end -}}
