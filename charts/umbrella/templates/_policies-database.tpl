{{/* To where backups are: the object store of this release, or wherever one elsewhere is. (root) */}}
{{- define "saas.backupStoreRule" -}}
{{- $endpoint := .Values.postgres.backup.endpoint | default .Values.global.objectStore.endpoint -}}
{{- if $endpoint -}}
ports: [{ port: {{ include "saas.portOfUrl" $endpoint }}, protocol: TCP }]
{{- else -}}
to: [{ {{- include "saas.peer" (list . "objectstore") -}} }]
ports: [{ port: 9000, protocol: TCP }]
{{- end -}}
{{- end -}}

{{/* The pods that back a standalone server up. It adds them to the callers. */}}
{{- define "saas.backupPolicies" -}}
{{- $root := .root -}}{{- $callers := .callers -}}
{{- if $root.Values.postgres.backup.enabled }}
{{- $_ := set $callers "postgres" (append $callers.postgres "postgres-backup") }}
{{- if eq (include "saas.backsUpHere" $root) "true" }}
{{- $_ := set $callers "objectstore" (append $callers.objectstore "postgres-backup") }}
{{- if $root.Values.postgres.restore.backup }}
{{- $_ := set $callers "objectstore" (append $callers.objectstore "postgres") }}
{{- end }}
{{- end }}
---
{{ include "saas.policy" (list $root "postgres-backup" list (list .toPostgres (include "saas.backupStoreRule" $root | fromYaml))) }}
{{- end }}
{{- end -}}

{{/*
Who may come to the servers and poolers that an operator runs. What they themselves call (each other, the API server, where
backups go) is the operator's business.
*/}}
{{- define "saas.clusterPolicy" -}}
{{- $root := .root -}}
{{- $peers := list -}}
{{- range .callers }}{{ $peers = append $peers (fromYaml (include "saas.peer" (list $root .))) }}{{ end -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {{- include "saas.metadata" (list $root "postgres" (include "saas.fullname" (list $root "postgres"))) | nindent 2 }}
spec:
  podSelector:
    matchLabels: {{- toYaml .pods.cluster | nindent 6 }}
  policyTypes: [Ingress]
  ingress:
    - from: {{- toYaml $peers | nindent 8 }}
      ports: [{ port: 5432, protocol: TCP }]
    - from:
        - podSelector:
            matchLabels: {{- toYaml .pods.cluster | nindent 14 }}
    {{- if eq $root.Values.global.postgres.mode "cnpg" }}
    # The operator watches them.
    - from:
        - namespaceSelector: {}
          podSelector:
            matchLabels: { app.kubernetes.io/name: cloudnative-pg }
      ports: [{ port: 5432, protocol: TCP }, { port: 8000, protocol: TCP }]
    {{- end }}
{{- end -}}
