{{- define "saas.validateDatabase" -}}
{{- $mode := .Values.global.postgres.mode -}}
{{- $postgres := .Values.postgres -}}{{- $backup := $postgres.backup -}}
{{- $api := get (dict "pgo" "postgres-operator.crunchydata.com/v1beta1/PostgresCluster" "cnpg" "postgresql.cnpg.io/v1/Database") $mode -}}
{{- if and $api (not (.Capabilities.APIVersions.Has $api)) -}}
  {{- $switch := get (dict "pgo" "pgo.enabled" "cnpg" "cloudnative-pg.enabled") $mode -}}
  {{- fail (printf "global.postgres.mode is %s, but the cluster does not know %s, as its operator is not there. Run first: helm dependency build charts/platform && helm upgrade --install platform ./charts/platform --namespace platform --create-namespace --set %s=true --wait. Where there is no cluster to ask (helm template), add --api-versions %s." $mode $api $switch $api) -}}
{{- end -}}
{{- if and .Values.global.postgres.caSecret (ne $mode "external") -}}
  {{- fail (printf "global.postgres.caSecret is set, but global.postgres.mode is %s, which has a certificate of its own or none: remove it, or set the mode to external." $mode) -}}
{{- end -}}
{{- include "saas.validateDataIsFound" . -}}
{{- if eq $mode "standalone" -}}{{- include "saas.validateConnections" . -}}{{- end -}}
{{- if eq $mode "external" -}}
  {{- if or $backup.enabled $postgres.restore.backup -}}
    {{- fail "postgres.backup.enabled or postgres.restore.backup is set, but global.postgres.mode is external: whoever runs that Postgres backs it up. Set both to nothing." -}}
  {{- end -}}
{{- else if or $backup.enabled $postgres.restore.backup -}}
  {{- $elsewhere := or $backup.endpoint .Values.global.objectStore.endpoint -}}
  {{- if and $elsewhere (not $backup.existingSecret) -}}
    {{- fail "Backups go to an object store elsewhere (postgres.backup.endpoint or global.objectStore.endpoint), but nothing says how to sign in there: set postgres.backup.existingSecret to the name of a Secret with the keys access-key and secret-key (with pgo: s3.conf)." -}}
  {{- end -}}
  {{- if and (eq $mode "pgo") (not (hasPrefix "https://" $backup.endpoint)) -}}
    {{- fail "With global.postgres.mode pgo backups are pgBackRest's, which speaks https only, and the object store of this release does not: set postgres.backup.endpoint to an https URL, or leave postgres.backup.enabled false (pgBackRest then keeps backups on a volume)." -}}
  {{- end -}}
  {{- if and $postgres.restore.backup (eq $mode "standalone") (not $backup.enabled) -}}
    {{- fail "postgres.restore.backup is set, but postgres.backup.enabled is false, so nothing says where backups are: set postgres.backup.enabled to true." -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{/* Each replica opens at most ten connections (packages/state); twenty are for migrations, Jobs and whoever looks. */}}
{{- define "saas.validateConnections" -}}
{{- $opened := 20 -}}
{{- range $service, $needs := fromYaml (include "saas.allNeeds" .) -}}
{{- $values := index $.Values $service -}}
{{- if $needs.database -}}{{- $opened = add $opened (mul 10 (int ($values.autoscaling.enabled | ternary $values.autoscaling.maxReplicas $values.replicas))) -}}{{- end -}}
{{- end -}}
{{- if gt (int $opened) (int .Values.postgres.connectionsMax) -}}
  {{- fail (printf "The services may open %d connections at their most replicas, but postgres.connectionsMax is %d: raise it (and postgres.resources), lower the replicas, or set global.postgres.mode to pgo, cnpg or external, which have a pooler." (int $opened) (int .Values.postgres.connectionsMax)) -}}
{{- end -}}
{{- end -}}

{{/* What a standalone server of this release holds must not be left behind unnoticed: the shop would come up with empty databases. */}}
{{- define "saas.validateDataIsFound" -}}
{{- $name := include "saas.fullname" (list . "postgres") -}}
{{- $wanted := include "postgres.dataDirectory" .Values.postgres -}}
{{- $running := lookup "apps/v1" "StatefulSet" .Release.Namespace $name -}}
{{- if and $running (ne .Values.global.postgres.mode "standalone") -}}
  {{- fail (printf "global.postgres.mode is %s, but the databases of this release are in its StatefulSet %s, and a change of the mode moves no data. Set it back to standalone; or, when you have moved what you need, run first: kubectl --namespace %s delete statefulset %s (its volume stays)." .Values.global.postgres.mode $name .Release.Namespace $name) -}}
{{- end -}}
{{- range dig "spec" "template" "spec" "containers" list $running -}}
{{- range .env -}}
{{- if and (eq .name "PGDATA") (ne .value $wanted) -}}
  {{- fail (printf "With postgres.image.tag %s the data folder would be %s, but the databases of this release are in %s, and one major version of Postgres reads no folder of another: set postgres.image.tag back." $.Values.postgres.image.tag $wanted .value) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
