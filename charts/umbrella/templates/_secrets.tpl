{{/*
A key that is replaced in steps, and the one that is accepted too: another one only while it is being replaced.
(list $root "name of the Secret" "internal-token-key")
*/}}
{{- define "saas.replaceableKey" -}}
{{- $root := index . 0 -}}{{- $secret := index . 1 -}}{{- $name := index . 2 -}}
{{- $acceptedName := printf "%s-accepted" $name -}}
{{- $used := include "saas.secretValue" (list $root $secret $name "key") -}}
{{- $present := lookup "v1" "Secret" $root.Release.Namespace $secret -}}
{{- $accepted := $used -}}
{{- with $root.Values.global.secrets.seed -}}
{{- $accepted = include "saas.seededKey" (list $root $secret $name $acceptedName) -}}
{{- else -}}
{{- with index (($present).data | default dict) $acceptedName -}}{{- $accepted = b64dec . -}}{{- end -}}
{{- end -}}
- { key: {{ $name }}, value: {{ $used }} }
- { key: {{ $acceptedName }}, value: {{ $accepted }} }
{{- end -}}

{{/* What follows from the seed: (list $root "name of the Secret" "key" "the name its generation is counted under"). */}}
{{- define "saas.seeded" -}}
{{- $root := index . 0 -}}{{- $secrets := $root.Values.global.secrets -}}
{{- $generation := index $secrets.generations (index . 3) | default 1 | int -}}
{{- $text := printf "%s/%s/%s/%s" $secrets.seed $root.Release.Name (index . 1) (index . 2) -}}
{{- if gt $generation 1 -}}{{- $text = printf "%s/%d" $text $generation -}}{{- end -}}
p{{ $text | sha256sum | trunc 31 }}
{{- end -}}

{{- define "saas.seededKey" -}}
{{ include "saas.seeded" . | b64enc | replace "+" "-" | replace "/" "_" | trimSuffix "=" }}
{{- end -}}

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
{{- $made := printf "p%s" (randAlphaNum 31) -}}
{{- if $seed -}}{{- $made = include "saas.seeded" (list $root $secret $key $key) -}}{{- end -}}
{{- if eq (index . 3) "key" -}}{{ $made | b64enc | replace "+" "-" | replace "/" "_" | trimSuffix "=" }}
{{- else -}}{{ $made }}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* A Secret that outlives the release: (list $root "part" "name" $data), and its type and more labels where somebody asks for them. */}}
{{- define "saas.secret" -}}
{{- $root := index . 0 -}}{{- $special := dict -}}{{- if gt (len .) 4 -}}{{- $special = index . 4 -}}{{- end -}}
apiVersion: v1
kind: Secret
metadata:
  {{- include "saas.metadata" (list $root (index . 1) (index . 2)) | nindent 2 }}
    {{- with $special.labels }}{{- toYaml . | nindent 4 }}{{- end }}
  {{- if $root.Values.global.retainData }}
  annotations: { helm.sh/resource-policy: keep }
  {{- end }}
type: {{ $special.type | default "Opaque" }}
stringData: {{- toYaml (index . 3) | nindent 2 }}
{{- end -}}

{{/*
Without a cluster nothing can be kept, and an upgrade that made new passwords would lock every service out: every namespace
has this ConfigMap, and every cluster this Service (the namespace may not be there yet).
*/}}
{{- define "saas.refuseBlind" -}}
{{- $global := .Values.global -}}
{{- $made := list -}}
{{- $parts := keys (fromYaml (include "saas.brokerUsers" .)) | sortAlpha -}}
{{- if gt (int $global.nats.replicas) 1 -}}{{- $parts = append $parts "nats" -}}{{- end -}}
{{- if ne $global.postgres.mode "external" -}}{{- $parts = append $parts "postgres" -}}{{- end -}}
{{- if not $global.objectStore.endpoint -}}{{- $parts = append $parts "objectstore" -}}{{- end -}}
{{- range $parts -}}
{{- if not (index $global.secrets.existing .) -}}{{- $made = append $made (printf "global.secrets.existing.%s" .) -}}{{- end -}}
{{- end -}}
{{- if ne $global.postgres.mode "external" -}}
{{- range $service, $needs := fromYaml (include "saas.allNeeds" .) -}}
{{- if and $needs.database (not (index ($global.postgres.existingSecrets | default dict) $service)) -}}{{- $made = append $made (printf "global.postgres.existingSecrets.%s" $service) -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- if not $global.objectStore.endpoint -}}
{{- $given := include "saas.bucketSecretsGiven" . | fromYaml -}}
{{- range $user, $_ := fromYaml (include "saas.bucketUsers" .) -}}
{{- if not (index $given $user) -}}{{- $made = append $made (eq $user "postgres-backup" | ternary "postgres.backup.existingSecret" (printf "global.objectStore.existingSecrets.%s" $user)) -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- if and $made (not $global.secrets.seed) -}}
{{- if not (or (lookup "v1" "ConfigMap" .Release.Namespace "kube-root-ca.crt") (lookup "v1" "Service" "default" "kubernetes")) -}}
{{- fail (printf "Rendered without a cluster (helm template, GitOps), so passwords made now could not be found again: set global.secrets.seed to at least 32 random characters, from an encrypted file, and keep it; or name Secrets of yours in %s." (join ", " $made)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
