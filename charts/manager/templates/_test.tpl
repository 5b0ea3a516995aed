{{/* What other pods see of the manager: alive, ready, closed to whoever has no token. */}}
{{- define "burst.testPod" -}}
metadata:
  labels:
    {{- include "burst.labels" (list . "test") | nindent 4 }}
spec:
  restartPolicy: Never
  automountServiceAccountToken: false
  {{- with .Values.imagePullSecrets }}
  imagePullSecrets:
    {{- range . }}
    - name: {{ . }}
    {{- end }}
  {{- end }}
  securityContext:
    {{- include "burst.podSecurity" . | nindent 4 }}
  containers:
    - name: test
      image: {{ include "burst.image" . | quote }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      args:
        - python
        - -c
        - |
          import sys
          from urllib.error import HTTPError
          from urllib.request import Request, urlopen

          def status(method, path):
              request = Request(sys.argv[1] + path, method=method, data=b"{}" if method == "POST" else None)
              try:
                  with urlopen(request, timeout=10) as answer:
                      return answer.status
              except HTTPError as error:
                  return error.code

          expected = {
              ("GET", "/healthz"): 200,
              ("GET", "/readyz"): 200,
              ("POST", "/api/burst/v1/worker/register"): 401,
          }
          found = {call: status(*call) for call in expected}
          for call, code in found.items():
              print(*call, code, "" if code == expected[call] else f"instead of {expected[call]}")
          sys.exit(found != expected)
        - http://{{ include "burst.manager" . }}:8081
      resources:
        requests:
          cpu: 50m
          memory: 64Mi
        limits:
          cpu: 500m
          memory: 128Mi
      securityContext:
        {{- include "burst.containerSecurity" . | nindent 8 }}
{{- end -}}
