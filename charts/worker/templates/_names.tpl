{{/* The only place that makes names, labels and the image's address. Those of the manager's objects
     are as its own chart makes them. */}}

{{- define "burst.pool" -}}
{{- .Values.pool | default (trimPrefix (printf "%s-pool-" .Values.farm) .Release.Name) -}}
{{- end -}}

{{- define "burst.manager" -}}
{{- .Values.farm }}-manager
{{- end -}}

{{- define "burst.worker" -}}
{{- .Values.farm }}-worker
{{- end -}}

{{- define "burst.tokenSecret" -}}
{{- .Values.farm }}-worker-token
{{- end -}}

{{- define "burst.tag" -}}
{{- if .Values.image.tag -}}
{{ .Values.image.tag }}
{{- else if .Values.blender.versions -}}
{{ .Chart.AppVersion }}-{{ first .Values.blender.versions }}
{{- end -}}
{{- end -}}

{{- define "burst.image" -}}
{{- $name := ternary (printf "%s/%s" (trimSuffix "/" .Values.image.registry) .Values.image.repository) .Values.image.repository (ne .Values.image.registry "") -}}
{{- if .Values.image.digest -}}
{{ $name }}@{{ .Values.image.digest }}
{{- else -}}
{{ $name }}:{{ include "burst.tag" . }}
{{- end -}}
{{- end -}}

{{- define "burst.labels" -}}
app.kubernetes.io/name: burst
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: worker
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: burst
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
burst/farm: {{ .Values.farm }}
burst/pool: {{ include "burst.pool" . }}
{{- end -}}

{{/* A size like 8Gi in bytes. */}}
{{- define "burst.bytes" -}}
{{- $factor := get (dict "M" 1e6 "G" 1e9 "T" 1e12 "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776) (regexFind "[A-Z]i?$" .) -}}
{{ mulf (regexFind "^[0-9.]+" . | float64) $factor | int64 }}
{{- end -}}
