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
{{- if eq $mode "standalone" -}}{{- include "saas.validateConnections" . -}}{{- end -}}
{{- if has $mode (list "pgo" "cnpg") -}}{{- include "saas.validatePools" . -}}{{- end -}}
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

{{/*
Each replica opens at most so many connections (CONNECTIONS_MAX of packages/state, which a test holds this to), and an upgrade runs one replica
more of each service; twenty connections are for migrations, Jobs and whoever looks.
*/}}
{{- define "saas.validateConnections" -}}
{{- $opened := 20 -}}{{- $ofReplica := 15 -}}
{{- range $service, $needs := fromYaml (include "saas.allNeeds" .) -}}
{{- $values := index $.Values $service -}}
{{- if $needs.database -}}{{- $opened = add $opened (mul $ofReplica (add1 (int ($values.autoscaling.enabled | ternary $values.autoscaling.maxReplicas $values.replicas)))) -}}{{- end -}}
{{- end -}}
{{- if gt (int $opened) (int .Values.postgres.connectionsMax) -}}
  {{- fail (printf "The services may open %d connections at their most replicas and while an upgrade replaces them, but postgres.connectionsMax is %d: raise it (and postgres.resources), lower the replicas, or set global.postgres.mode to pgo, cnpg or external, which have a pooler." (int $opened) (int .Values.postgres.connectionsMax)) -}}
{{- end -}}
{{- end -}}

{{/* Each pooler keeps a pool for each role that signs in there; twenty connections are for migrations, Jobs and the operator. */}}
{{- define "saas.validatePools" -}}
{{- $cluster := .Values.postgres.cluster -}}{{- $roles := 0 -}}
{{- range $service, $needs := fromYaml (include "saas.allNeeds" .) -}}{{- if $needs.database -}}{{- $roles = add1 $roles -}}{{- end -}}{{- end -}}
{{- $opened := add 20 (mul (int $cluster.poolers) (int $cluster.poolSize) $roles) -}}
{{- if gt (int $opened) (int $cluster.connectionsMax) -}}
  {{- fail (printf "The poolers may open %d connections (postgres.cluster.poolers × poolSize for each of %d roles, and 20), but postgres.cluster.connectionsMax is %d: raise it (and postgres.resources), or lower poolers or poolSize." (int $opened) (int $roles) (int $cluster.connectionsMax)) -}}
{{- end -}}
{{- end -}}
