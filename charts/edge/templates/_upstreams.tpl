{{/* upstreams.conf, as edgeUpstreams in packages/contracts writes it; a test holds them equal. Health has a port of its own. */}}
{{- define "edge.upstreams" -}}
{{- $root := . -}}
{{- range $service := list "auth" "products" "orders" "notifications" "frontend" }}
{{- $address := printf "%s:3000" (include "saas.fullname" (list $root $service)) -}}
upstream {{ $service }} {
  {{- range until 8 }}
  server {{ $address }} max_fails=0;
  {{- end }}
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

access_log /dev/stdout edge buffer=64k flush=1s;

{{ if not .Values.tls.secret -}}
server {
  listen 8080;
  include server.conf;
}
{{- else -}}
server {
  listen 8080;
  return 308 {{ .Values.global.publicUrl }}$request_uri;
}

# Variables, so that a certificate is read again when it was renewed.
map "" $certificate {
  default /etc/certificate/tls.crt;
}
map "" $certificate_key {
  default /etc/certificate/tls.key;
}

server {
  listen 8443 ssl;
  http2 on;
  ssl_certificate $certificate;
  ssl_certificate_key $certificate_key;
  ssl_certificate_cache max=4 valid=1m;
  ssl_protocols TLSv1.2 TLSv1.3;
  ssl_session_cache shared:tls:1m;
  ssl_session_tickets off;
  include server.conf;
}
{{- end }}

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

# A pod that stops would close what its clients hold open, in the moment in which one of them sends. With this the connection
# stays as long, and the answer that comes by it says that it is the last. Anything older than nginx 1.27.4 refuses to start.
keepalive_min_timeout 10s;
{{ end -}}
