{{/*
Whether a kind of the Prometheus operator is rendered: (list $root "PodMonitor"). `auto` asks the cluster; without one (helm
template, GitOps) Helm is told by --api-versions, or the value says `always`. Nothing is monitored that the network policies
would not let Prometheus reach: an install that is told nothing must not raise alarms.
*/}}
{{- define "saas.monitors" -}}
{{- $root := index . 0 -}}{{- $wanted := $root.Values.global.monitoring.enabled -}}
{{- $policies := $root.Values.global.networkPolicy -}}{{- $reachable := or (not $policies.enabled) $policies.metricsFrom -}}
{{- if eq $wanted "always" -}}yes
{{- else if and (eq $wanted "auto") $reachable ($root.Capabilities.APIVersions.Has (printf "monitoring.coreos.com/v1/%s" (index . 1))) -}}yes
{{- end -}}
{{- end -}}

{{/* Metadata with the labels that a Prometheus or a Grafana selects by: (list $root "name" $labels). */}}
{{- define "saas.monitoringMetadata" -}}
{{- $root := index . 0 -}}
{{- include "saas.metadata" (list $root "monitoring" (printf "%s-%s" (include "saas.release" $root) (index . 1))) }}
{{- with index . 2 }}
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}
