{{- /* Figures that follow from others. */ -}}

{{- /* "16Gi", "512Mi", "1GiB" or "256MiB" in MiB. */ -}}
{{- define "attnserve.mebibytes" -}}
{{- $text := trimSuffix "B" (toString .) -}}
{{- $number := regexFind "^[0-9]+" $text | int64 -}}
{{- if hasSuffix "Gi" $text -}}
{{ mul $number 1024 }}
{{- else if hasSuffix "Mi" $text -}}
{{ $number }}
{{- else -}}
{{ fail (printf "a size must be in MiB or GiB (of memory: Mi or Gi); got %q" .) }}
{{- end -}}
{{- end }}

{{- /* "5s", "1m", "1h" or "500ms" in whole seconds, rounded up. */ -}}
{{- define "attnserve.seconds" -}}
{{- $text := toString . -}}
{{- $number := regexFind "^[0-9]+" $text | int64 -}}
{{- if hasSuffix "ms" $text -}}
{{ div (add $number 999) 1000 }}
{{- else if hasSuffix "s" $text -}}
{{ $number }}
{{- else if hasSuffix "m" $text -}}
{{ mul $number 60 }}
{{- else if hasSuffix "h" $text -}}
{{ mul $number 3600 }}
{{- else -}}
{{ fail (printf "a time must be a whole number of ms, s, m or h; got %q" .) }}
{{- end -}}
{{- end }}

{{- /* What tensors of calls take at most, in MiB (SECURITY.md, "What bounds memory"):
       1.5 max-queue-bytes + 2 (max-request-bytes + max-reply-bytes). */ -}}
{{- define "attnserve.callMebibytes" -}}
{{- $queue := include "attnserve.mebibytes" (index .Values.settings "max-queue-bytes") | int64 -}}
{{- $request := include "attnserve.mebibytes" (index .Values.settings "max-request-bytes") | int64 -}}
{{- $reply := include "attnserve.mebibytes" (index .Values.settings "max-reply-bytes") | int64 -}}
{{ add (div (mul 3 $queue) 2) (mul 2 (add $request $reply)) }}
{{- end }}

{{- /* What gRPC may hold of messages on their way, in MiB: as much again. */ -}}
{{- define "attnserve.grpcMebibytes" -}}
{{- with index .Values.settings "grpc-memory" -}}
{{ include "attnserve.mebibytes" . }}
{{- else -}}
{{ include "attnserve.callMebibytes" . }}
{{- end -}}
{{- end }}

{{- /* What weights of layers take at most, in MiB: 0 without layers. */ -}}
{{- define "attnserve.layerMebibytes" -}}
{{- if include "attnserve.hasLayers" . -}}
{{ include "attnserve.mebibytes" .Values.layers.maxBytes }}
{{- else -}}
0
{{- end -}}
{{- end }}

{{- /* Memory for sessions in MiB: what is left of the limit beside the tensors of
       calls, the messages that gRPC holds, the weights of layers, and 512 MiB for the
       program, its scratch and its connections. Where kvMemory is given, calls may
       have less: they fill their share only now and then, sessions and weights stay. */ -}}
{{- define "attnserve.kvMebibytes" -}}
{{- $memory := include "attnserve.mebibytes" .Values.memory | int64 -}}
{{- $layers := include "attnserve.layerMebibytes" . | int64 -}}
{{- if .Values.kvMemory -}}
{{- $kv := include "attnserve.mebibytes" .Values.kvMemory | int64 -}}
{{- $left := sub $memory (add $layers 512) -}}
{{- if gt $kv $left -}}
{{ fail (printf "kvMemory: must be at most what memory leaves; got %dMi, and %dMi less %dMi for layers and 512Mi leave %dMi: raise memory, or lower kvMemory or layers.maxBytes" $kv $memory $layers $left) }}
{{- end -}}
{{ $kv }}
{{- else -}}
{{- $calls := include "attnserve.callMebibytes" . | int64 -}}
{{- $grpc := include "attnserve.grpcMebibytes" . | int64 -}}
{{- $left := sub $memory (add $calls $grpc $layers 512) -}}
{{- if lt $left 64 -}}
{{ fail (printf "memory: must leave 64Mi for sessions; %dMi less %dMi for calls, %dMi for gRPC, %dMi for layers and 512Mi leave %dMi: raise memory, or lower settings.max-queue-bytes, max-request-bytes and max-reply-bytes, or layers.maxBytes" $memory $calls $grpc $layers $left) }}
{{- end -}}
{{ $left }}
{{- end -}}
{{- end }}

{{- /* preStop: how long a pod that is to go stays as it is, while the cluster takes it
       off its lists. As long as the drain delay, in which proxies notice by themselves. */ -}}
{{- define "attnserve.preStopSeconds" -}}
{{ include "attnserve.seconds" (index .Values.settings "drain-delay") }}
{{- end }}

{{- /* preStop, then the drain's two times, and 5 s for the end of the process. */ -}}
{{- define "attnserve.graceSeconds" -}}
{{- $delay := include "attnserve.seconds" (index .Values.settings "drain-delay") | int64 -}}
{{- $timeout := include "attnserve.seconds" (index .Values.settings "drain-timeout") | int64 -}}
{{ add (include "attnserve.preStopSeconds" . | int64) $delay $timeout 5 }}
{{- end }}
