{{- /* Layers of models: the volume that holds them, and the flags about them. */ -}}

{{- /* Where the volume is mounted, for the server to read. */ -}}
{{- define "attnserve.modelsPath" -}}/var/lib/attnserve/models{{- end }}

{{- /* Empty without layers. */ -}}
{{- define "attnserve.hasLayers" -}}
{{- if or .Values.layers.claimName .Values.layers.volume }}true{{ end -}}
{{- end }}

{{- /* The source of the volume. A claim is read-only as a whole, not in the container
       alone: else the kubelet would give all of its files to fsGroup. */ -}}
{{- define "attnserve.modelsVolume" -}}
{{- with .Values.layers -}}
{{- if and .claimName .volume }}
{{- fail (printf "layers: must have claimName or volume; got both, %q and %s" .claimName (keys .volume | first)) }}
{{- end }}
{{- if .claimName -}}
persistentVolumeClaim:
  claimName: {{ .claimName }}
  readOnly: true
{{- else -}}
{{ toYaml .volume }}
{{- end }}
{{- end }}
{{- end }}

{{- /* Flags, where there are layers; where there are none, nothing may ask for one. */ -}}
{{- define "attnserve.layerArgs" -}}
{{- $load := .Values.layers.load -}}
{{- if kindIs "slice" $load }}{{ $load = join "," $load }}{{ end }}
{{- if include "attnserve.hasLayers" . }}
{{- if and (eq $load "none") (not .Values.layers.loading) }}
{{- fail "layers.loading: must be true where layers.load is none, or no layer could ever be loaded; got false" }}
{{- end }}
- --layers={{ include "attnserve.modelsPath" . }}{{ with .Values.layers.path }}/{{ . }}{{ end }}
- --load-layers={{ $load }}
- --layer-weights={{ .Values.layers.weights }}
- --max-layer-bytes={{ include "attnserve.layerMebibytes" . }}MiB
{{- if .Values.layers.loading }}
- --layer-loading=true
{{- end }}
{{- else if or (ne $load "all") .Values.layers.path .Values.layers.loading }}
{{- fail "layers: must have claimName or volume where load, path or loading say what to do with it; got neither" }}
{{- end }}
{{- end }}
