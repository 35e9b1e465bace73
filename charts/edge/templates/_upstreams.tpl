{{/* upstreams.conf, as edgeUpstreams in packages/contracts writes it; a test holds them equal. Health has a port of its own. */}}
{{- define "edge.upstreams" -}}
{{- $root := . -}}
{{- range $service := list "auth" "products" "orders" "notifications" "frontend" }}
{{- $address := printf "%s:3000" (include "saas.fullname" (list $root $service)) -}}
upstream {{ $service }} {
  server {{ $address }} max_fails=0;
  server {{ $address }} max_fails=0;
  keepalive 64;
  keepalive_timeout 60s;
}

{{ end -}}
map "" $public_scheme {
  default {{ (urlParse .Values.global.publicUrl).scheme }};
}

# Counted from the right: what stands further left was written by the client itself.
map $proxy_add_x_forwarded_for $client_address {
  default $remote_addr;
  '~(?:^|,\s*)(?<hop>[^,\s]+)(?:\s*,\s*[^,\s]+){{ printf "{%d}" (int .Values.global.trustedHops) }}$' $hop;
}

map "$request_method $uri" $unlisted_route {
  default '';
}

map $http_upgrade $development_upgrade {
  default '';
}

map "" $development {
  default no;
}

access_log /dev/stdout edge;

server {
  listen 8080;
  include server.conf;
}

server {
  listen 9000;
  access_log off;
  location = /healthz {
    return 200;
  }
  location / {
    return 404;
  }
}
{{ end -}}
