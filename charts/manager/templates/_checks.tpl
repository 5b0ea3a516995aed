{{/* What makes no sense ends the rendering here, with a sentence. Called once, by the StatefulSet. */}}

{{- define "burst.check" -}}
{{- $farm := include "burst.farm" . -}}
{{- if not (regexMatch "^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$" $farm) -}}
{{- fail (printf "farm %q is no name for a farm: use at most 40 lower-case letters, digits and hyphens, a letter first" $farm) -}}
{{- end -}}
{{- $url := .Values.storage.url -}}
{{- if not $url -}}
{{- fail "storage.url is missing: say where scenes and frames live, as in --set storage.url=gs://my-bucket" -}}
{{- end -}}
{{- if hasPrefix "gs:" $url -}}
{{- if not (regexMatch "^gs://[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]/?$" $url) -}}
{{- fail (printf "storage.url %s is no bucket: give gs:// and its name, without a folder" $url) -}}
{{- end -}}
{{- if .Values.storage.claim -}}
{{- fail (printf "storage.claim is for a storage that is a directory, and storage.url is %s: leave one of them out" $url) -}}
{{- end -}}
{{- else if not (hasPrefix "/" $url) -}}
{{- fail (printf "storage.url %s is neither a bucket nor a directory: give gs:// and a name, or an absolute path" $url) -}}
{{- else if not (or .Values.storage.claim .Values.extraVolumeMounts) -}}
{{- fail (printf "storage.url %s is a directory inside the pod, which nothing is mounted at: name a volume with storage.claim" $url) -}}
{{- end -}}
{{- if and .Values.volume.keep .Values.volume.existingClaim -}}
{{- fail "volume.keep is for the claim that this chart makes, and volume.existingClaim names another: leave one of them out" -}}
{{- end -}}
{{- if eq (int .Values.console.port) 8081 -}}
{{- fail "console.port 8081 is the workers': choose another" -}}
{{- end -}}
{{- if and .Values.image.registry (not (regexMatch "^[^\\s:]+(:[0-9]+)?(/[^\\s:]+)*/?$" .Values.image.registry)) -}}
{{- fail (printf "image.registry %q is no address of a registry: give it without scheme and tag, as in europe-docker.pkg.dev/project/burst" .Values.image.registry) -}}
{{- end -}}
{{- include "burst.checkNames" . -}}
{{- include "burst.checkAlone" . -}}
{{- end -}}

{{/* What the chart says itself; said twice, the last would count, and not the whole chart know of it. */}}
{{- define "burst.checkNames" -}}
{{- range .Values.extraEnv -}}
{{- if has .name (list "BURST_PROVIDER" "BURST_KUBERNETES_NAMESPACE" "BURST_FARM" "BURST_STATE_DIR" "BURST_STORAGE_URL" "BURST_WORKER_LISTEN" "BURST_CONSOLE_LISTEN" "BURST_WORKER_TOKEN" "BURST_LEASE_SECONDS" "BURST_IDLE_EXIT_SECONDS" "BURST_LOG_LEVEL" "BURST_LOG_FORMAT") -}}
{{- fail (printf "extraEnv has %s, which the chart sets itself: see its other values" .name) -}}
{{- end -}}
{{- end -}}
{{- range $label, $_ := .Values.podLabels -}}
{{- if regexMatch "^(app\\.kubernetes\\.io|helm\\.sh|burst)/" $label -}}
{{- fail (printf "podLabels has %s, which the chart sets itself: choose another" $label) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Two farms in one namespace would share a quota, and each other's rights. */}}
{{- define "burst.checkAlone" -}}
{{- range (lookup "apps/v1" "StatefulSet" .Release.Namespace "").items -}}
{{- $labels := .metadata.labels | default dict -}}
{{- $other := index $labels "app.kubernetes.io/instance" -}}
{{- if and (eq (index $labels "app.kubernetes.io/part-of" | default "") "burst") (ne $other $.Release.Name) -}}
{{- fail (printf "namespace %s has a farm already, the release %s: install this one in a namespace of its own, with --namespace NAME --create-namespace" $.Release.Namespace $other) -}}
{{- end -}}
{{- end -}}
{{- end -}}
