{{/* What the schema cannot say: combinations that cannot work, each with its cure. */}}
{{- define "saas.validate" -}}
{{- $global := .Values.global -}}
{{- $needs := fromYaml (include "saas.allNeeds" .) -}}
{{- if eq $global.postgres.mode "external" -}}
  {{- range $service, $need := $needs -}}
    {{- if and $need.database (not (index $global.postgres.existingSecrets $service)) -}}
      {{- fail (printf "global.postgres.mode is external, but %s has no database: set global.postgres.existingSecrets.%s to the name of a Secret with the keys uri and direct-uri." $service $service) -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- include "saas.validateDatabase" . -}}
{{- include "saas.validateSecrets" . -}}
{{- include "saas.validateUpgrade" . -}}
{{- include "saas.validateResources" . -}}
{{- range $service, $need := $needs -}}
  {{- if and $need.objectStore $global.objectStore.endpoint (not (index $global.objectStore.existingSecrets $service)) -}}
    {{- fail (printf "global.objectStore.endpoint is set, but nothing says how %s signs in there: set global.objectStore.existingSecrets.%s to the name of a Secret with the keys access-key and secret-key." $service $service) -}}
  {{- end -}}
{{- end -}}
{{- if and $global.mail.mailbox $global.mail.existingSecret -}}
  {{- fail "global.mail.existingSecret names a mail server, but global.mail.mailbox is true, which keeps every mail in this release: set global.mail.mailbox to false." -}}
{{- end -}}
{{- if and (not $global.mail.mailbox) (not $global.mail.existingSecret) -}}
  {{- fail "No mail can leave: set global.mail.existingSecret to the name of a Secret with the key smtp-url, or global.mail.mailbox to true to keep every mail in this release." -}}
{{- end -}}
{{- if and .Values.edge.ingress.enabled .Values.edge.httpRoute.enabled -}}
  {{- fail "edge.ingress.enabled and edge.httpRoute.enabled are both true, and each would count as a proxy in front: choose one." -}}
{{- end -}}
{{- if or .Values.edge.ingress.enabled .Values.edge.httpRoute.enabled -}}
  {{- if eq .Values.edge.service.type "LoadBalancer" -}}
    {{- fail "edge.service.type is LoadBalancer, but edge.ingress or edge.httpRoute leads to the edge too: requests by the one have a proxy in front that those by the other have not, and global.trustedHops can be right for one only. Set edge.service.type to ClusterIP, or leave the other way in out." -}}
  {{- end -}}
  {{- if .Values.edge.tls.secret -}}
    {{- fail "edge.tls.secret is set, so the edge leads plain requests to https, but edge.ingress or edge.httpRoute sends it nothing else, and every request would go in a circle: end TLS there (edge.ingress.tlsSecret, or the Gateway's listener) and remove edge.tls.secret." -}}
  {{- end -}}
{{- end -}}
{{- if and .Values.edge.httpRoute.enabled (not .Values.edge.httpRoute.parentRefs) -}}
  {{- fail "edge.httpRoute.enabled is true, but it belongs to no Gateway: set edge.httpRoute.parentRefs." -}}
{{- end -}}
{{- if and (or .Values.edge.ingress.enabled .Values.edge.httpRoute.enabled) (eq (int $global.trustedHops) 0) -}}
  {{- fail "A proxy stands in front of the edge (edge.ingress or edge.httpRoute), but global.trustedHops is 0, so every client would count as that proxy: set global.trustedHops to the number of proxies." -}}
{{- end -}}
{{- if and .Values.edge.ingress.tlsSecret (not .Values.edge.ingress.enabled) -}}
  {{- fail "edge.ingress.tlsSecret is set, but edge.ingress.enabled is false: enable the ingress, or set edge.tls.secret for TLS that the edge itself ends." -}}
{{- end -}}
{{- if and (or .Values.edge.tls.secret .Values.edge.ingress.tlsSecret) (hasPrefix "http:" $global.publicUrl) -}}
  {{- fail "TLS is set up (edge.tls.secret or edge.ingress.tlsSecret), but global.publicUrl begins with http:, so cookies would not be secure and links would lead past it: set global.publicUrl to its https address." -}}
{{- end -}}
{{- if ne $global.edge "nginx" -}}
  {{- if or .Values.edge.ingress.enabled .Values.edge.httpRoute.enabled .Values.edge.tls.secret .Values.edge.autoscaling.enabled -}}
    {{- fail (printf "global.edge is %s, so this release has no edge of its own, but edge.ingress, edge.httpRoute, edge.tls or edge.autoscaling is set: leave them out and route to the services as in charts/edge/examples." $global.edge) -}}
  {{- end -}}
  {{- if and $global.networkPolicy.enabled (not $global.networkPolicy.gatewayFrom) -}}
    {{- fail (printf "global.edge is %s, but the network policies let it reach no service: set global.networkPolicy.gatewayFrom to its pods, such as [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: gateway}}}]." $global.edge) -}}
  {{- end -}}
{{- else if $global.networkPolicy.gatewayFrom -}}
  {{- fail "global.networkPolicy.gatewayFrom is set, but global.edge is nginx, the only way in: remove it, or set global.edge to what stands in front of the services." -}}
{{- end -}}
{{- if and $global.networkPolicy.enabled (eq $global.monitoring.enabled "always") (not $global.networkPolicy.metricsFrom) -}}
  {{- fail "global.monitoring.enabled is always, but the network policies let it reach no pod: set global.networkPolicy.metricsFrom to its pods, such as [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: monitoring}}}], or global.monitoring.enabled to auto." -}}
{{- end -}}
{{- /* A rule without peers would allow all of them; and without names nothing here finds anything. */ -}}
{{- if and $global.networkPolicy.enabled (not $global.networkPolicy.dns) -}}
  {{- fail "global.networkPolicy.dns is empty, but every pod finds the others by their names: set it to what resolves them, such as [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: kube-system}}}], or leave it out, which allows that and the cache on each node." -}}
{{- end -}}
{{- $monitoring := $global.monitoring -}}{{- $unitSeconds := dict "s" 1 "m" 60 -}}
{{- $interval := mul (regexFind "^[0-9]+" $monitoring.interval | int) (get $unitSeconds (regexFind "[sm]$" $monitoring.interval)) -}}
{{- $timeout := mul (regexFind "^[0-9]+" $monitoring.scrapeTimeout | int) (get $unitSeconds (regexFind "[sm]$" $monitoring.scrapeTimeout)) -}}
{{- if gt $timeout $interval -}}
  {{- fail (printf "global.monitoring.scrapeTimeout (%s) is longer than global.monitoring.interval (%s), which Prometheus refuses: lower the one or raise the other." $monitoring.scrapeTimeout $monitoring.interval) -}}
{{- end -}}
{{- $size := .Values.nats.storage.size -}}
{{- $mebibytes := include "saas.mebibytes" $size -}}
{{- if and $mebibytes (gt (int64 .Values.nats.storage.bytesMax) (mul ($mebibytes | int64) 1048576)) -}}
  {{- fail (printf "nats.storage.bytesMax is %d, more than nats.storage.size (%s), so the disk would be full before JetStream knows: lower the one or raise the other." (int64 .Values.nats.storage.bytesMax) $size) -}}
{{- end -}}
{{- range $service, $source := dict "auth" .Values.auth "products" .Values.products "orders" .Values.orders "notifications" .Values.notifications "frontend" .Values.frontend -}}
  {{- range $variable, $_ := $source.environment -}}
    {{- if hasKey $source.secretEnvironment $variable -}}
      {{- fail (printf "%s stands both in %s.environment and in %s.secretEnvironment: remove one." $variable $service $service) -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- include "saas.validateSecretEnvironment" . -}}
{{- if and .Values.edge.autoscaling.enabled (gt (int .Values.edge.autoscaling.minReplicas) (int .Values.edge.autoscaling.maxReplicas)) -}}
  {{- fail "edge.autoscaling.minReplicas is more than maxReplicas: lower the one or raise the other." -}}
{{- end -}}
{{- range $service, $need := $needs -}}
  {{- $autoscaling := (index $.Values $service).autoscaling -}}
  {{- if and $autoscaling.enabled (gt (int $autoscaling.minReplicas) (int $autoscaling.maxReplicas)) -}}
    {{- fail (printf "%s.autoscaling.minReplicas is more than maxReplicas: lower the one or raise the other." $service) -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{/* Kubernetes refuses a container that asks for more memory than it may take, when half of the release is there already. */}}
{{- define "saas.validateResources" -}}
{{- range $part, $resources := dict "auth" .Values.auth.resources "products" .Values.products.resources "orders" .Values.orders.resources "notifications" .Values.notifications.resources "frontend" .Values.frontend.resources "edge" .Values.edge.resources "nats" .Values.nats.resources "postgres" .Values.postgres.resources "postgres.backup" .Values.postgres.backup.resources "objectstore" .Values.objectstore.resources "mailbox" .Values.mailbox.resources -}}
{{- $requested := include "saas.mebibytes" ($resources.requests.memory | toString) -}}{{- $limit := include "saas.mebibytes" ($resources.limits.memory | toString) -}}
{{- if and $requested $limit (gt (int64 $requested) (int64 $limit)) -}}
  {{- fail (printf "%s.resources.requests.memory (%s) is more than %s.resources.limits.memory (%s): lower the one or raise the other." $part $resources.requests.memory $part $resources.limits.memory) -}}
{{- end -}}
{{- end -}}
{{- end -}}
