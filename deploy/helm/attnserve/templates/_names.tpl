{{- /* Names and labels. */ -}}

{{- define "attnserve.name" -}}
{{ default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- /* At most 52 characters: a StatefulSet's pods carry it with "-" and ten more as a label. */ -}}
{{- define "attnserve.fullname" -}}
{{- $name := include "attnserve.name" . -}}
{{- if .Values.fullnameOverride -}}
{{ .Values.fullnameOverride | trunc 52 | trimSuffix "-" }}
{{- else if contains $name .Release.Name -}}
{{ .Release.Name | trunc 52 | trimSuffix "-" }}
{{- else -}}
{{ printf "%s-%s" .Release.Name $name | trunc 52 | trimSuffix "-" }}
{{- end -}}
{{- end }}

{{- define "attnserve.selector" -}}
app.kubernetes.io/name: {{ include "attnserve.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- /* component: server, proxy or test. */ -}}
{{- define "attnserve.labels" -}}
{{ include "attnserve.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- /* An image: (dict "image" .Values.image "chart" .Chart). */ -}}
{{- define "attnserve.image" -}}
{{- if .image.digest -}}
{{ printf "%s@%s" .image.repository .image.digest }}
{{- else -}}
{{ printf "%s:%s" .image.repository (default .chart.AppVersion .image.tag) }}
{{- end -}}
{{- end }}
