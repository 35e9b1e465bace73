{{/*
The configuration of a server: (dict "root" $ "values" .Values.nats "users" $users). Users and permissions are those of
natsConfiguration in packages/devstack; a test holds them equal. Passwords come from the environment.
*/}}
{{- define "nats.configuration" -}}
{{- $name := include "saas.fullname" (list .root "nats") -}}
{{- $replicas := .root.Values.global.nats.replicas | int -}}
listen: "0.0.0.0:4222"
http: "0.0.0.0:8222"
server_name: $POD_NAME
max_payload: 1048576
pid_file: "/tmp/nats.pid"
lame_duck_grace_period: 5s
lame_duck_duration: 30s
jetstream {
  store_dir: "/data"
  max_file_store: {{ .values.storage.bytesMax | int64 }}
  # An acknowledged message is on the disk; without this the server acknowledges up to two minutes before it is.
  sync_interval: always
}
{{- if gt $replicas 1 }}
cluster {
  name: {{ $name | quote }}
  listen: "0.0.0.0:6222"
  authorization { user: "route", password: $ROUTE_PASSWORD }
  routes: [
    # Whole URLs, with quotes: the server reads no variable inside a string.
    {{- range $index := until $replicas }}
    $ROUTE_{{ $index }}
    {{- end }}
  ]
}
{{- end }}
accounts {
  saas {
    jetstream: enabled
    users: [
      {{- range $service, $needs := .users }}
      {
        user: {{ $service | quote }}
        password: $PASSWORD_{{ $service | upper }}
        permissions {
          publish { allow: {{ include "nats.publish" (list $service $needs) }} }
          subscribe { allow: {{ concat (list (printf "_INBOX_%s.>" $service)) $needs.hear | toRawJson }} }
        }
      }
      {{- end }}
    ]
  }
}
{{ end -}}

{{/* What a service may publish: its own events, and what JetStream asks of it for its own durable. */}}
{{- define "nats.publish" -}}
{{- $service := index . 0 -}}{{- $needs := index . 1 -}}
{{- $allowed := concat $needs.publish (list "$JS.API.INFO" "$JS.API.STREAM.CREATE.messages" "$JS.API.STREAM.INFO.messages") -}}
{{- if $needs.consume -}}
{{- range $subject := list "API.CONSUMER.CREATE.messages.%s" "API.CONSUMER.CREATE.messages.%s.>" "API.CONSUMER.DURABLE.CREATE.messages.%s" "API.CONSUMER.INFO.messages.%s" "API.CONSUMER.MSG.NEXT.messages.%s" "ACK.messages.%s.>" -}}
{{- $allowed = append $allowed (printf (printf "$JS.%s" $subject) $service) -}}
{{- end -}}
{{- end -}}
{{- $allowed | toRawJson -}}
{{- end -}}
