{{/*
The release's name as part of other names: at most 30 characters, so that the longest name has 63. Names of Services begin with a
letter and have no dots, those of releases may.
*/}}
{{- define "saas.release" -}}
{{- $plain := .Release.Name | replace "." "-" -}}
{{- if not (regexMatch "^[a-z]" $plain) -}}{{- $plain = printf "r%s" $plain -}}{{- end -}}
{{- if and (eq $plain .Release.Name) (le (len $plain) 30) -}}{{ $plain }}
{{- else -}}{{ printf "%s-%s" ($plain | trunc 21 | trimSuffix "-") (.Release.Name | sha256sum | trunc 8) }}
{{- end -}}
{{- end -}}

{{/* The name of a part's objects: (list $root "orders"). Two releases in one namespace differ in it. */}}
{{- define "saas.fullname" -}}
{{- printf "%s-%s" (include "saas.release" (index . 0)) (index . 1) -}}
{{- end -}}

{{/* What Services, Deployments and policies select by; never changes: (list $root "orders"). */}}
{{- define "saas.selectorLabels" -}}
app.kubernetes.io/name: {{ index . 1 }}
app.kubernetes.io/instance: {{ (index . 0).Release.Name | quote }}
{{- end -}}

{{/* The labels of every object: (list $root "orders"). */}}
{{- define "saas.labels" -}}
{{- $root := index . 0 -}}
{{ include "saas.selectorLabels" . }}
app.kubernetes.io/part-of: saas
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
{{- end -}}

{{/* The metadata of an object: (list $root "orders" "name of the object"). */}}
{{- define "saas.metadata" -}}
name: {{ index . 2 }}
namespace: {{ (index . 0).Release.Namespace | quote }}
labels: {{- include "saas.labels" . | nindent 2 }}
{{- end -}}

{{/* An image with its registry, and its digest where one is given: (list $root .Values.image). */}}
{{- define "saas.image" -}}
{{- $root := index . 0 -}}{{- $image := index . 1 -}}
{{- $global := $root.Values.global -}}
{{- $registry := $global.imageRegistry | default $image.registry -}}
{{- if regexMatch "(^|/)saas-[a-z]+$" $image.repository -}}{{- $registry = $global.serviceImageRegistry | default $registry -}}{{- end -}}
{{- $name := printf "%s/%s" $registry $image.repository -}}
{{- if $image.digest -}}{{ $name }}@{{ $image.digest }}
{{- else -}}{{ $name }}:{{ $image.tag | default $root.Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{/* A rendered object with the user's overrides on top: (list "yaml" $overrides). */}}
{{- define "saas.overridden" -}}
{{- $object := fromYaml (index . 0) -}}
{{- with $object.Error -}}{{- fail (printf "an object of the chart is not YAML: %s" .) -}}{{- end -}}
{{- include "saas.merge" (list $object (index . 1)) -}}
{{- toYaml $object -}}
{{- end -}}

{{/*
Puts the second map on top of the first, in place: maps are merged, all else is replaced, null removes. Not sprig's merge,
for which false, 0 and '' are nothing.
*/}}
{{- define "saas.merge" -}}
{{- $under := index . 0 -}}
{{- range $key, $value := index . 1 -}}
{{- $present := get $under $key -}}
{{- if and (kindIs "map" $value) (kindIs "map" $present) -}}{{- include "saas.merge" (list $present $value) -}}
{{- else if kindIs "invalid" $value -}}{{- $_ := unset $under $key -}}
{{- else -}}{{- $_ := set $under $key $value -}}
{{- end -}}
{{- end -}}
{{- end -}}
