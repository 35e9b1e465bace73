{{/* A peer in this release: (list $root "orders"). */}}
{{- define "saas.peer" -}}
podSelector: { matchLabels: {{ include "saas.selectorLabels" . | fromYaml | toJson }} }
{{- end -}}

{{/* A policy: (list $root "part" $ingress $egress), both lists of rules. Names are always resolved when anything is called. */}}
{{- define "saas.policy" -}}
{{- $root := index . 0 -}}{{- $part := index . 1 -}}
{{- $ingress := index . 2 -}}{{- $egress := index . 3 -}}
{{- if $egress -}}
{{- $dns := dict "to" $root.Values.global.networkPolicy.dns "ports" (list (dict "port" 53 "protocol" "UDP") (dict "port" 53 "protocol" "TCP")) -}}
{{- $egress = prepend $egress $dns -}}
{{- end -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {{- include "saas.metadata" (list $root $part (include "saas.fullname" (list $root $part))) | nindent 2 }}
spec:
  podSelector:
    matchLabels: {{- include "saas.selectorLabels" (list $root $part) | nindent 6 }}
  policyTypes: [Ingress, Egress]
  ingress: {{- toYaml $ingress | nindent 4 }}
  egress: {{- toYaml $egress | nindent 4 }}
{{- end -}}

{{/* The port a URL leads to. */}}
{{- define "saas.portOfUrl" -}}
{{- $url := urlParse . -}}
{{- regexFind ":[0-9]+$" $url.host | trimPrefix ":" | default (eq $url.scheme "https" | ternary "443" "80") -}}
{{- end -}}
