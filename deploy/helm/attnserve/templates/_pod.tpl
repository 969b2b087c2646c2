{{- /* Parts of pods that several templates share. */ -}}

{{- /* What the restricted pod security standard asks for, and a read-only root. */ -}}
{{- define "attnserve.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{- define "attnserve.podSecurity" -}}
runAsNonRoot: true
runAsUser: {{ . }}
runAsGroup: {{ . }}
fsGroup: {{ . }}
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- /* Requests are the limits: (dict "cpus" 4 "memory" "16Gi"). */ -}}
{{- define "attnserve.resources" -}}
requests:
  cpu: {{ .cpus }}
  memory: {{ .memory }}
limits:
  cpu: {{ .cpus }}
  memory: {{ .memory }}
{{- end }}

{{- /* The server's flags. */ -}}
{{- define "attnserve.args" -}}
- --grpc-address=0.0.0.0:8001
- --http-address=0.0.0.0:8002
- --kv-memory={{ include "attnserve.kvMebibytes" . }}MiB
{{- if not (index .Values.settings "grpc-memory") }}
- --grpc-memory={{ include "attnserve.grpcMebibytes" . }}MiB
{{- end }}
{{- range $name, $value := .Values.settings }}
{{- /* Helm reads a whole number as a float, and would print 1e+06. */ -}}
{{- if kindIs "float64" $value }}{{ $value = int64 $value }}{{ end }}
- {{ printf "--%s=%v" $name $value }}
{{- end }}
{{- if .Values.tls.enabled }}
- --tls-certificate=/etc/attnserve/tls/tls.crt
- --tls-key=/etc/attnserve/tls/tls.key
{{- if .Values.tls.clientCa }}
- --tls-client-ca=/etc/attnserve/tls/ca.crt
{{- end }}
{{- end }}
{{- if .Values.tokens.secretName }}
- --token-file=/etc/attnserve/tokens/{{ .Values.tokens.key }}
{{- end }}
{{- if .Values.tenants.secretName }}
- --tenants=/etc/attnserve/tenants/{{ .Values.tenants.key }}
{{- end }}
{{- include "attnserve.layerArgs" . }}
{{- end }}

{{- /* Whole secrets as folders, not single files of them: those would never change. */ -}}
{{- define "attnserve.secrets" -}}
{{- $secrets := dict -}}
{{- if .Values.tls.enabled }}
{{- $_ := set $secrets "tls" (required "tls.secretName: must name a secret where tls.enabled is true" .Values.tls.secretName) -}}
{{- end }}
{{- if .Values.tokens.secretName }}{{ $_ := set $secrets "tokens" .Values.tokens.secretName }}{{ end }}
{{- if .Values.tenants.secretName }}{{ $_ := set $secrets "tenants" .Values.tenants.secretName }}{{ end }}
{{- toYaml $secrets -}}
{{- end }}
