{{/*
Where a secret value comes from: (list $root "name of the Secret" "key" "password" or "key"). What the cluster holds stays as
it is, unless a seed says otherwise; else it is made now. A password starts with a letter, so that the broker's configuration
reads a string; a key is 32 bytes in base64url.
*/}}
{{- define "saas.secretValue" -}}
{{- $root := index . 0 -}}{{- $secret := index . 1 -}}{{- $key := index . 2 -}}
{{- $seed := $root.Values.global.secrets.seed -}}
{{- $present := lookup "v1" "Secret" $root.Release.Namespace $secret -}}
{{- $kept := index (($present).data | default dict) $key -}}
{{- if and $kept (not $seed) -}}{{ $kept | b64dec }}
{{- else -}}
{{- $made := randAlphaNum 31 -}}
{{- if $seed -}}{{- $made = printf "%s/%s/%s/%s" $seed $root.Release.Name $secret $key | sha256sum | trunc 31 -}}{{- end -}}
{{- $made = printf "p%s" $made -}}
{{- if eq (index . 3) "key" -}}{{ $made | b64enc | replace "+" "-" | replace "/" "_" | trimSuffix "=" }}
{{- else -}}{{ $made }}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* A Secret that outlives the release: (list $root "part" "name" $data). */}}
{{- define "saas.secret" -}}
{{- $root := index . 0 -}}
apiVersion: v1
kind: Secret
metadata:
  {{- include "saas.metadata" (list $root (index . 1) (index . 2)) | nindent 2 }}
  {{- if $root.Values.global.retainData }}
  annotations: { helm.sh/resource-policy: keep }
  {{- end }}
type: Opaque
stringData: {{- toYaml (index . 3) | nindent 2 }}
{{- end -}}

{{/*
Without a cluster nothing can be kept, and an upgrade that made new passwords would lock every service out: every namespace
has this ConfigMap, and every cluster this Service (the namespace may not be there yet).
*/}}
{{- define "saas.refuseBlind" -}}
{{- if not .Values.global.secrets.seed -}}
{{- if not (or (lookup "v1" "ConfigMap" .Release.Namespace "kube-root-ca.crt") (lookup "v1" "Service" "default" "kubernetes")) -}}
{{- fail "Rendered without a cluster (helm template, GitOps), so passwords made now could not be found again: set global.secrets.seed to at least 32 random characters, from an encrypted file, and keep it." -}}
{{- end -}}
{{- end -}}
{{- end -}}
