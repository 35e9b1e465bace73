{{/* What a living release has, and an upgrade must not leave behind, lock up or take apart. Where nothing can be looked up nothing is known. */}}
{{- define "saas.validateUpgrade" -}}
{{- include "saas.validateDataIsFound" . -}}
{{- include "saas.validateBroker" . -}}
{{- include "saas.validateVolumes" . -}}
{{- include "saas.validateSeed" . -}}
{{- end -}}

{{/* The shop would come up with empty databases, or without its pictures. */}}
{{- define "saas.validateDataIsFound" -}}
{{- $name := include "saas.fullname" (list . "postgres") -}}{{- $mode := .Values.global.postgres.mode -}}
{{- $wanted := include "postgres.dataDirectory" .Values.postgres -}}
{{- $running := lookup "apps/v1" "StatefulSet" .Release.Namespace $name -}}
{{- if and $running (ne $mode "standalone") -}}
  {{- fail (printf "global.postgres.mode is %s, but the databases of this release are in its StatefulSet %s, and a change of the mode moves no data. Set it back to standalone; or, when you have moved what you need, run first: kubectl --namespace %s delete statefulset %s (its volume stays)." $mode $name .Release.Namespace $name) -}}
{{- end -}}
{{- /* Not everybody who may install may read the objects of the operators, so it is written down beside them. */ -}}
{{- $written := dig "data" "mode" $mode (lookup "v1" "ConfigMap" .Release.Namespace $name) -}}
{{- if and (ne $written $mode) (has $written (list "pgo" "cnpg")) -}}
  {{- fail (printf "global.postgres.mode is %s, but the databases of this release are in the cluster %s of %s, and a change of the mode moves no data. Set it back to %s; or, when you have moved what you need, run first: kubectl --namespace %s delete configmap %s (the cluster stays)." $mode $name $written $written .Release.Namespace $name) -}}
{{- end -}}
{{- range dig "spec" "template" "spec" "containers" list $running -}}
{{- range .env -}}
{{- if and (eq .name "PGDATA") (ne .value $wanted) -}}
  {{- fail (printf "With postgres.image.tag %s the data folder would be %s, but the databases of this release are in %s, and one major version of Postgres reads no folder of another: set postgres.image.tag back." $.Values.postgres.image.tag $wanted .value) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $store := include "saas.fullname" (list . "objectstore") -}}
{{- if and .Values.global.objectStore.endpoint (lookup "apps/v1" "StatefulSet" .Release.Namespace $store) -}}
  {{- fail (printf "global.objectStore.endpoint is set, but the pictures of this release are in its StatefulSet %s, and nothing copies them. Set it back to empty; or, when you have copied the buckets, run first: kubectl --namespace %s delete statefulset %s (its volume stays)." $store .Release.Namespace $store) -}}
{{- end -}}
{{- end -}}

{{/* The stream keeps as many copies as there were nodes when it was made: with fewer of them it finds no leader, and a server that was alone knows nothing of a cluster's stream. */}}
{{- define "saas.validateBroker" -}}
{{- $name := include "saas.fullname" (list . "nats") -}}{{- $wanted := int .Values.global.nats.replicas -}}
{{- with lookup "apps/v1" "StatefulSet" .Release.Namespace $name -}}
{{- $running := int .spec.replicas -}}
{{- if or (lt $wanted $running) (and (eq $running 1) (gt $wanted 1)) -}}
  {{- fail (printf "global.nats.replicas is %d, but NATS of this release runs as %d, and its stream cannot follow. Set it back to %d; or let NATS begin anew, which loses no event (services publish again what their outboxes keep), and run first: kubectl --namespace %s delete statefulset %s && kubectl --namespace %s delete pvc --selector app.kubernetes.io/instance=%s,app.kubernetes.io/name=nats" $wanted $running $running $.Release.Namespace $name $.Release.Namespace $.Release.Name) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Kubernetes refuses it in the middle of an upgrade. */}}
{{- define "saas.validateVolumes" -}}
{{- range $part := list "postgres" "nats" "objectstore" -}}
{{- $storage := (index $.Values $part).storage -}}
{{- $name := include "saas.fullname" (list $ $part) -}}
{{- $running := lookup "apps/v1" "StatefulSet" $.Release.Namespace $name -}}
{{- range dig "spec" "volumeClaimTemplates" list $running -}}
{{- $size := dig "resources" "requests" "storage" "" .spec -}}
{{- $isOther := and (include "saas.mebibytes" $size) (ne (include "saas.mebibytes" $size) (include "saas.mebibytes" $storage.size)) -}}
{{- if or $isOther (ne (.spec.storageClassName | default "") $storage.className) -}}
  {{- fail (printf "%s.storage is %s of the class %q, but the StatefulSet %s was made with %s of the class %q, and Kubernetes changes no claim of a StatefulSet: set it back, or enlarge the volume as docs/operations/sizing.md says." $part $storage.size $storage.className $name $size (.spec.storageClassName | default "")) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Passwords that change are followed. What a lost key has encrypted is lost. */}}
{{- define "saas.validateSeed" -}}
{{- if and .Values.global.secrets.seed (not .Values.global.secrets.existing.auth) -}}
{{- $name := include "saas.fullname" (list . "auth") -}}
{{- $present := lookup "v1" "Secret" .Release.Namespace $name -}}
{{- range $key := list "key-encryption-key" "mail-secret-key" -}}
{{- $used := index (($present).data | default dict) $key -}}
{{- $accepted := printf "%s-accepted" $key -}}
{{- if and $used (not (has ($used | b64dec) (list (include "saas.seededKey" (list $ $name $key $key)) (include "saas.seededKey" (list $ $name $key $accepted))))) -}}
  {{- fail (printf "With this global.secrets.seed (and its generations) the %s of the Secret %s would be lost, and with it what it has encrypted: set the seed back, or remove it to keep the Secrets that the cluster holds." $key $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
