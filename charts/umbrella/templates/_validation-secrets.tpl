{{/* Secrets of somebody's own: those that nothing would read are refused, and so are those that are there and lack what is read. */}}
{{- define "saas.validateSecrets" -}}
{{- $root := . -}}{{- $global := .Values.global -}}{{- $existing := $global.secrets.existing -}}
{{- $mode := $global.postgres.mode -}}{{- $backup := .Values.postgres.backup -}}
{{- if and $existing.postgres (eq $mode "external") -}}
  {{- fail "global.secrets.existing.postgres is set, but global.postgres.mode is external, where this release signs in as no administrator: remove it." -}}
{{- end -}}
{{- if and $existing.objectstore $global.objectStore.endpoint -}}
  {{- fail "global.secrets.existing.objectstore is set, but global.objectStore.endpoint leads to an object store of yours, where this release signs in as no administrator: remove it." -}}
{{- end -}}
{{- if and $existing.postgres (eq $mode "pgo") -}}
  {{- $wanted := include "postgres.pgoUserSecret" (list . "postgres") -}}
  {{- if ne $existing.postgres $wanted -}}
    {{- $labels := list -}}
    {{- range $label, $value := include "postgres.pgoUserLabels" (list . "postgres") | fromYaml }}{{ $labels = append $labels (printf "%s=%s" $label $value) }}{{ end -}}
    {{- fail (printf "global.secrets.existing.postgres is %s, but with global.postgres.mode pgo the operator reads the administrator's password in %s only: name yours so, with the keys password and verifier (the same) and the labels %s." $existing.postgres $wanted (join ", " $labels)) -}}
  {{- end -}}
{{- end -}}
{{- range $path, $secrets := dict "global.secrets.existing" $existing "global.postgres.existingSecrets" $global.postgres.existingSecrets "global.objectStore.existingSecrets" $global.objectStore.existingSecrets -}}
  {{- $owner := dict -}}
  {{- range $part, $secret := $secrets -}}
    {{- if and $secret (hasKey $owner $secret) -}}
      {{- fail (printf "%s.%s and %s.%s both name the Secret %s, so each could sign in as the other: give each a Secret of its own." $path (get $owner $secret) $path $part $secret) -}}
    {{- end -}}
    {{- if $secret }}{{ $_ := set $owner $secret $part }}{{ end -}}
  {{- end -}}
{{- end -}}
{{- $url := "^[A-Za-z0-9._~-]+$" -}}{{- $broker := "^[A-Za-z][A-Za-z0-9._~-]*$" -}}
{{- range $part, $secret := $existing -}}
  {{- $path := printf "global.secrets.existing.%s" $part -}}
  {{- $keys := dict "nats-password" $broker "internal-token-key" $url "internal-token-key-accepted" $url -}}
  {{- if eq $part "auth" }}{{ $_ := set (set $keys "key-encryption-key" $url) "mail-secret-key" $url }}
  {{- else if eq $part "nats" }}{{ $keys = dict "route-password" $broker }}
  {{- else if eq $part "objectstore" }}{{ $keys = dict "access-key" "" "secret-key" "" }}
  {{- else if eq $part "postgres" }}
    {{- $keys = dict "password" "" -}}
    {{- if eq $mode "cnpg" }}{{ $_ := set $keys "username" "^postgres$" }}{{ end -}}
    {{- if eq $mode "pgo" }}{{ $_ := set $keys "verifier" "" }}{{ end -}}
    {{- if and (eq $mode "standalone") $backup.enabled }}{{ $_ := set $keys "backup-password" $url }}{{ end -}}
  {{- end -}}
  {{- include "saas.validateSecret" (list $root $path $secret $keys) -}}
{{- end -}}
{{- $keys := eq $mode "external" | ternary (dict "uri" "" "direct-uri" "") (dict "password" $url "migrator-password" $url) -}}
{{- range $service, $secret := $global.postgres.existingSecrets -}}
  {{- include "saas.validateSecret" (list $root (printf "global.postgres.existingSecrets.%s" $service) $secret $keys) -}}
{{- end -}}
{{- $ofStore := dict "access-key" "" "secret-key" "" -}}
{{- range $service, $secret := $global.objectStore.existingSecrets -}}
  {{- include "saas.validateSecret" (list $root (printf "global.objectStore.existingSecrets.%s" $service) $secret $ofStore) -}}
{{- end -}}
{{- include "saas.validateSecret" (list . "postgres.backup.existingSecret" $backup.existingSecret (eq $mode "pgo" | ternary (dict "s3.conf" "") $ofStore)) -}}
{{- include "saas.validateSecret" (list . "global.mail.existingSecret" $global.mail.existingSecret (dict "smtp-url" "")) -}}
{{- include "saas.validateSecret" (list . "global.postgres.caSecret" $global.postgres.caSecret (dict "ca.crt" "")) -}}
{{- include "saas.validateSecret" (list . "edge.tls.secret" .Values.edge.tls.secret (dict "tls.crt" "" "tls.key" "")) -}}
{{- end -}}

{{/* What services read of Secrets by the word of whoever installs: in a Secret that is made here, only what is made or was put in. */}}
{{- define "saas.validateSecretEnvironment" -}}
{{- $root := . -}}{{- $users := fromYaml (include "saas.brokerUsers" .) -}}
{{- range $service, $_ := fromYaml (include "saas.allNeeds" .) -}}
{{- $own := include "saas.serviceSecret" (list $root $service) -}}
{{- $made := list -}}
{{- if hasKey $users $service }}{{ $made = list "nats-password" "internal-token-key" "internal-token-key-accepted" }}{{ end -}}
{{- if eq $service "auth" }}{{ $made = concat $made (list "key-encryption-key" "key-encryption-key-accepted" "mail-secret-key" "mail-secret-key-accepted" "bootstrap-token") }}{{ end -}}
{{- range $variable, $source := (index $root.Values $service).secretEnvironment -}}
  {{- $path := printf "%s.secretEnvironment.%s" $service $variable -}}
  {{- if kindIs "map" $source -}}
    {{- include "saas.validateSecret" (list $root $path $source.secret (dict $source.key "")) -}}
  {{- else if index $root.Values.global.secrets.existing $service -}}
    {{- include "saas.validateSecret" (list $root $path $own (dict $source "")) -}}
  {{- else if not (or (has $source $made) (hasKey (dig "data" dict (lookup "v1" "Secret" $root.Release.Namespace $own)) $source)) -}}
    {{- fail (printf "%s is the key %s of the Secret %s, and this release puts no such key there: name a Secret of yours and its key, as in --set-json '%s={\"secret\":\"NAME\",\"key\":\"KEY\"}'." $path $source $own $path) -}}
  {{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/*
One of them, when it is there already (what makes it may run later): (list $root "path of the value" "name" $keys), where each key
leads to what its value has to match, or to nothing. No value is ever shown.
*/}}
{{- define "saas.validateSecret" -}}
{{- $path := index . 1 -}}{{- $name := index . 2 -}}{{- $present := dict -}}
{{- if $name }}{{ $present = lookup "v1" "Secret" (index . 0).Release.Namespace $name }}{{ end -}}
{{- if $present -}}
{{- range $key, $form := index . 3 -}}
  {{- $value := index ($present.data | default dict) $key -}}
  {{- if not $value -}}
    {{- fail (printf "%s names the Secret %s, which has no key %s: put it in, or name another Secret." $path $name $key) -}}
  {{- end -}}
  {{- if and $form (not (regexMatch $form ($value | b64dec))) -}}
    {{- fail (printf "%s names the Secret %s, whose %s is not of the form %s, which is what can stand where it is read: give it another." $path $name $key $form) -}}
  {{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
