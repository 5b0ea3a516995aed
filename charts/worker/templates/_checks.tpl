{{/* What makes no sense ends the rendering here, with a sentence. Called once, by the ConfigMap. */}}

{{- define "burst.check" -}}
{{- if not .Values.farm -}}
{{- fail "farm is missing: say which farm the pool belongs to, which is the name of its manager's release, as in --set farm=my-farm" -}}
{{- end -}}
{{- if not (regexMatch "^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$" .Values.farm) -}}
{{- fail (printf "farm %q is no name of a farm: use at most 40 lower-case letters, digits and hyphens, a letter first" .Values.farm) -}}
{{- end -}}
{{- $pool := include "burst.pool" . -}}
{{- if not (regexMatch "^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$" $pool) -}}
{{- fail (printf "pool %q is no name for a pool: use at most 40 lower-case letters, digits and hyphens" $pool) -}}
{{- end -}}
{{- if gt (int .Values.minimum) (int .Values.maximum) -}}
{{- fail (printf "minimum %d is more than maximum %d" (int .Values.minimum) (int .Values.maximum)) -}}
{{- end -}}
{{- if not (or .Values.image.digest (include "burst.tag" .)) -}}
{{- fail "image.tag is missing: say which image, or by blender.versions which Blender is in it, as in --set blender.versions={4.5.14}" -}}
{{- end -}}
{{- if and .Values.image.registry (not (regexMatch "^[^\\s:]+(:[0-9]+)?(/[^\\s:]+)*/?$" .Values.image.registry)) -}}
{{- fail (printf "image.registry %q is no address of a registry: give it without scheme and tag, as in europe-docker.pkg.dev/project/burst" .Values.image.registry) -}}
{{- end -}}
{{- include "burst.checkStorage" . -}}
{{- include "burst.checkScenes" . -}}
{{- include "burst.checkNames" . -}}
{{- end -}}

{{- define "burst.checkStorage" -}}
{{- $url := .Values.storage.url -}}
{{- if not $url -}}
{{- fail "storage.url is missing: say where scenes and frames live, as the manager has it, as in --set storage.url=gs://my-bucket" -}}
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
{{- end -}}

{{- define "burst.checkScenes" -}}
{{- if and (eq .Values.scenes.source "csi") (not (hasPrefix "gs:" .Values.storage.url)) -}}
{{- fail (printf "scenes.source csi mounts a bucket, and storage.url is %s: take pvc with scenes.pvc.claim, or fetch" .Values.storage.url) -}}
{{- end -}}
{{- if and (eq .Values.scenes.source "pvc") (not .Values.scenes.pvc.claim) -}}
{{- fail "scenes.source pvc needs scenes.pvc.claim, the claim that has the storage's content" -}}
{{- end -}}
{{- end -}}

{{/* What the farm says itself: with another name or pool all workers would be one, with other labels none
     would be found. */}}
{{- define "burst.checkNames" -}}
{{- range .Values.extraEnv -}}
{{- if has .name (list "BURST_WORKER_NAME" "BURST_WORKER_POOL" "BURST_THREADS" "BURST_MANAGER_URL" "BURST_WORKER_TOKEN" "BURST_STORAGE_URL" "BURST_SCENES" "BURST_WORK_DIR" "BURST_DEVICE") -}}
{{- fail (printf "extraEnv has %s, which the farm sets itself" .name) -}}
{{- end -}}
{{- end -}}
{{- range $label, $_ := .Values.podLabels -}}
{{- if regexMatch "^(app\\.kubernetes\\.io|helm\\.sh|burst)/" $label -}}
{{- fail (printf "podLabels has %s, which the farm sets itself: choose another" $label) -}}
{{- end -}}
{{- end -}}
{{- end -}}
