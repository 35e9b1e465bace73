{{- define "edge.service" -}}
apiVersion: v1
kind: Service
metadata:
  {{- include "saas.metadata" (list . "edge" (include "saas.fullname" (list . "edge"))) | nindent 2 }}
  {{- with .Values.service.annotations }}
  annotations: {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  type: {{ .Values.service.type }}
  selector: {{- include "saas.selectorLabels" (list . "edge") | nindent 4 }}
  ports:
    - { name: http, port: {{ .Values.service.port }}, targetPort: http, protocol: TCP }
    {{- if .Values.tls.secret }}
    - { name: https, port: {{ .Values.tls.port }}, targetPort: https, protocol: TCP }
    {{- end }}
  {{- with .Values.service.spec }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{- define "edge.host" -}}
{{ (urlParse .Values.global.publicUrl).hostname }}
{{- end -}}

{{- define "edge.ingress" -}}
{{- $name := include "saas.fullname" (list . "edge") -}}{{- $host := include "edge.host" . -}}
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  {{- include "saas.metadata" (list . "edge" $name) | nindent 2 }}
  {{- with .Values.ingress.annotations }}
  annotations: {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  {{- with .Values.ingress.className }}
  ingressClassName: {{ . }}
  {{- end }}
  {{- with .Values.ingress.tlsSecret }}
  tls:
    - { hosts: [{{ $host }}], secretName: {{ . }} }
  {{- end }}
  rules:
    - host: {{ $host }}
      http:
        paths:
          - path: /
            pathType: Prefix
            backend: { service: { name: {{ $name }}, port: { name: http } } }
{{- end -}}

{{- define "edge.httpRoute" -}}
{{- $name := include "saas.fullname" (list . "edge") -}}
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata:
  {{- include "saas.metadata" (list . "edge" $name) | nindent 2 }}
  {{- with .Values.httpRoute.annotations }}
  annotations: {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  parentRefs: {{- toYaml .Values.httpRoute.parentRefs | nindent 4 }}
  hostnames: [{{ include "edge.host" . }}]
  rules:
    - backendRefs:
        - { name: {{ $name }}, port: {{ .Values.service.port }} }
{{- end -}}
