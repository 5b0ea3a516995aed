{{/* What a worker's pod is: in the Job that the manager makes of the pool's template, and in helm test. */}}

{{- define "burst.podMetadata" -}}
labels:
  {{- include "burst.labels" . | nindent 2 }}
  {{- with .Values.podLabels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
annotations:
  # A worker leaves by itself; nobody moves it in the middle of a frame.
  cluster-autoscaler.kubernetes.io/safe-to-evict: "false"
  {{- if eq .Values.scenes.source "csi" }}
  gke-gcsfuse/volumes: "true"
  {{- with .Values.scenes.csi.sidecar }}
  gke-gcsfuse/cpu-request: {{ .cpu | quote }}
  # Reading ahead may take what is free.
  gke-gcsfuse/cpu-limit: "0"
  gke-gcsfuse/memory-request: {{ .memory | quote }}
  gke-gcsfuse/memory-limit: {{ .memory | quote }}
  gke-gcsfuse/ephemeral-storage-request: {{ .ephemeralStorage | quote }}
  gke-gcsfuse/ephemeral-storage-limit: {{ .ephemeralStorage | quote }}
  {{- end }}
  {{- end }}
  {{- with .Values.podAnnotations }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{- define "burst.podSpec" -}}
restartPolicy: Never
serviceAccountName: {{ include "burst.worker" . }}
# Scenes may run code in here: there is nothing to take.
automountServiceAccountToken: false
enableServiceLinks: false
terminationGracePeriodSeconds: {{ .Values.gracePeriodSeconds }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .Values.runtimeClassName }}
runtimeClassName: {{ . }}
{{- end }}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile:
    type: RuntimeDefault
containers:
  - name: worker
    image: {{ include "burst.image" . | quote }}
    imagePullPolicy: {{ .Values.image.pullPolicy }}
    args: [burst, worker]
    env:
      {{- include "burst.environment" . | nindent 6 }}
    resources:
      requests:
        cpu: {{ .Values.machine.cpuRequest | default (toString .Values.machine.cores) | quote }}
        memory: {{ .Values.machine.memory }}
        # Little: a pool of no nodes is not asked whether its disks would be large enough.
        ephemeral-storage: 1Gi
      # No limit of processor time: what nobody else on the machine needs is rendered with.
      limits:
        memory: {{ .Values.machine.memory }}
        {{- if .Values.gpu.count }}
        {{ .Values.gpu.resource }}: {{ .Values.gpu.count }}
        {{- end }}
    securityContext:
      allowPrivilegeEscalation: false
      readOnlyRootFilesystem: true
      capabilities:
        drop: [ALL]
    # Why it could not start are its last lines.
    terminationMessagePolicy: FallbackToLogsOnError
    volumeMounts:
      - name: scratch
        mountPath: /scratch
      - name: tmp
        mountPath: /tmp
      {{- if ne .Values.scenes.source "fetch" }}
      - name: scenes
        mountPath: /scenes
        readOnly: true
      {{- end }}
      {{- if .Values.storage.claim }}
      - name: storage
        mountPath: {{ .Values.storage.url }}
      {{- end }}
      {{- with .Values.extraVolumeMounts }}
      {{- toYaml . | nindent 6 }}
      {{- end }}
volumes:
  - name: scratch
    emptyDir:
      sizeLimit: {{ .Values.scratch.size }}
  - name: tmp
    emptyDir:
      sizeLimit: 1Gi
  {{- if eq .Values.scenes.source "csi" }}
  - name: scenes
    csi:
      driver: {{ .Values.scenes.csi.driver }}
      readOnly: true
      volumeAttributes:
        bucketName: {{ trimPrefix "gs://" .Values.storage.url | trimSuffix "/" }}
        mountOptions: {{ join "," .Values.scenes.csi.mountOptions | quote }}
  {{- else if eq .Values.scenes.source "pvc" }}
  - name: scenes
    persistentVolumeClaim:
      claimName: {{ .Values.scenes.pvc.claim }}
      readOnly: true
  {{- end }}
  {{- if .Values.storage.claim }}
  - name: storage
    persistentVolumeClaim:
      claimName: {{ .Values.storage.claim }}
  {{- end }}
  {{- with .Values.extraVolumes }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- include "burst.placing" . }}
{{- end -}}

{{- define "burst.environment" -}}
- name: BURST_MANAGER_URL
  value: http://{{ include "burst.manager" . }}:8081
- name: BURST_WORKER_TOKEN
  valueFrom:
    secretKeyRef:
      name: {{ include "burst.tokenSecret" . }}
      key: token
- name: BURST_STORAGE_URL
  value: {{ .Values.storage.url | quote }}
- name: BURST_SCENES
  value: {{ ternary "fetch" "mount:/scenes" (eq .Values.scenes.source "fetch") }}
{{- if eq .Values.scenes.source "fetch" }}
# Half of the scratch: the disk is the node's, and who takes more than the limit is put out.
- name: BURST_SCENES_CACHE_DIR
  value: /scratch/cache
- name: BURST_SCENES_CACHE_BYTES
  value: {{ div (include "burst.bytes" .Values.scratch.size | int64) 2 | quote }}
{{- end }}
- name: BURST_WORK_DIR
  value: /scratch
- name: BURST_DEVICE
  value: {{ ternary .Values.gpu.device "cpu" (gt (int .Values.gpu.count) 0) }}
{{- with .Values.blender.program }}
- name: BURST_BLENDER
  value: {{ . | quote }}
{{- end }}
- name: BURST_LOG_LEVEL
  value: {{ .Values.logLevel }}
- name: BURST_LOG_FORMAT
  value: json
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "burst.placing" }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
tolerations:
  # A node that fell silent: the manager has given the task to another after seconds.
  - key: node.kubernetes.io/not-ready
    operator: Exists
    effect: NoExecute
    tolerationSeconds: 30
  - key: node.kubernetes.io/unreachable
    operator: Exists
    effect: NoExecute
    tolerationSeconds: 30
  {{- if .Values.spot.enabled }}
  - key: {{ .Values.spot.label }}
    operator: Exists
    effect: NoSchedule
  {{- end }}
  {{- if .Values.gpu.count }}
  - key: {{ .Values.gpu.resource }}
    operator: Exists
    effect: NoSchedule
  {{- end }}
  {{- with .Values.tolerations }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- if or .Values.affinity .Values.spot.enabled }}
affinity:
  {{- if .Values.affinity }}
  {{- toYaml .Values.affinity | nindent 2 }}
  {{- else }}
  nodeAffinity:
    requiredDuringSchedulingIgnoredDuringExecution:
      nodeSelectorTerms:
        - matchExpressions:
            - key: {{ .Values.spot.label }}
              operator: In
              values: [{{ .Values.spot.value | quote }}]
  {{- end }}
{{- end }}
{{- end -}}

{{/* The Job that the manager makes workers of. It gives it a name, labels, and to the container `worker`
     BURST_WORKER_NAME, BURST_WORKER_POOL and BURST_THREADS; nothing else. */}}
{{- define "burst.job" -}}
apiVersion: batch/v1
kind: Job
metadata:
  labels:
    {{- include "burst.labels" . | nindent 4 }}
spec:
  # Demand makes workers: Kubernetes never replaces one.
  backoffLimit: 0
  completions: 1
  parallelism: 1
  podReplacementPolicy: Failed
  activeDeadlineSeconds: {{ int64 .Values.deadlineSeconds }}
  ttlSecondsAfterFinished: {{ int64 .Values.keepEndedSeconds }}
  template:
    metadata:
      {{- include "burst.podMetadata" . | nindent 6 }}
    spec:
      {{- include "burst.podSpec" . | nindent 6 }}
{{- end -}}

{{/* What the manager has to know of the pool. */}}
{{- define "burst.poolFacts" -}}
name: {{ include "burst.pool" . }}
preference: {{ int .Values.preference }}
minimum: {{ int .Values.minimum }}
maximum: {{ int .Values.maximum }}
cores: {{ .Values.machine.cores }}
memory_bytes: {{ include "burst.bytes" .Values.machine.memory }}
memory_class: {{ int .Values.memoryClass }}
device: {{ ternary "gpu" "cpu" (gt (int .Values.gpu.count) 0) }}
blender: {{ toJson .Values.blender.versions }}
spot: {{ .Values.spot.enabled }}
boot_seconds: {{ .Values.bootSeconds }}
start_seconds: {{ .Values.startSeconds }}
stock_out_seconds: {{ .Values.stockOutSeconds }}
{{- end -}}
