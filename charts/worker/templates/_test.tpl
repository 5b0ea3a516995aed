{{/* One pod of the pool: is there a node for it, are its volumes mounted, does Blender render here, can
     the storage be read and written? */}}
{{- define "burst.testPod" -}}
{{- $spec := include "burst.podSpec" . | fromYaml -}}
{{- $_ := set (first $spec.containers) "args" (list "burst" "doctor" "--state-dir" "/scratch/doctor") -}}
metadata:
  {{- include "burst.podMetadata" . | nindent 2 }}
spec:
  {{- toYaml $spec | nindent 2 }}
{{- end -}}
