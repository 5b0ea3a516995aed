{{/* The only place that makes names, labels and the image's address. */}}

{{- define "burst.farm" -}}
{{- .Values.farm | default .Release.Name -}}
{{- end -}}

{{- define "burst.manager" -}}
{{- include "burst.farm" . }}-manager
{{- end -}}

{{- define "burst.worker" -}}
{{- include "burst.farm" . }}-worker
{{- end -}}

{{- define "burst.claim" -}}
{{- .Values.volume.existingClaim | default (printf "%s-state" (include "burst.manager" .)) -}}
{{- end -}}

{{- define "burst.tokenSecret" -}}
{{- .Values.workerToken.existingSecret | default (printf "%s-worker-token" (include "burst.farm" .)) -}}
{{- end -}}

{{- define "burst.image" -}}
{{- $name := ternary (printf "%s/%s" (trimSuffix "/" .Values.image.registry) .Values.image.repository) .Values.image.repository (ne .Values.image.registry "") -}}
{{- if .Values.image.digest -}}
{{ $name }}@{{ .Values.image.digest }}
{{- else -}}
{{ $name }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{/* What a selector may name: it can't be changed later. Call with (list . component). */}}
{{- define "burst.selector" -}}
{{- $top := index . 0 -}}
app.kubernetes.io/name: burst
app.kubernetes.io/instance: {{ $top.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{- define "burst.labels" -}}
{{- $top := index . 0 -}}
{{ include "burst.selector" . }}
app.kubernetes.io/version: {{ $top.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: burst
app.kubernetes.io/managed-by: {{ $top.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $top.Chart.Name $top.Chart.Version }}
burst/farm: {{ include "burst.farm" $top }}
{{- end -}}

{{/* The workers of this farm, whatever pool's release they come from. */}}
{{- define "burst.workerSelector" -}}
app.kubernetes.io/name: burst
app.kubernetes.io/component: worker
burst/farm: {{ include "burst.farm" . }}
{{- end -}}

{{/* The workers' token: what the cluster has, else a new one; the same for the whole rendering. */}}
{{- define "burst.token" -}}
{{- if not (hasKey .Release "burstToken") -}}
{{- $kept := lookup "v1" "Secret" .Release.Namespace (include "burst.tokenSecret" .) -}}
{{- $token := randAlphaNum 48 | b64enc -}}
{{- if and $kept $kept.data $kept.data.token -}}
{{- $token = $kept.data.token -}}
{{- end -}}
{{- $_ := set .Release "burstToken" $token -}}
{{- end -}}
{{- .Release.burstToken -}}
{{- end -}}

{{- define "burst.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "burst.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}
