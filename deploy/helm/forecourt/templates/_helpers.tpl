{{- define "forecourt.name" -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "forecourt.selector" -}}
app.kubernetes.io/name: forecourt
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "forecourt.labels" -}}
{{ include "forecourt.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end -}}

{{- define "forecourt.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}

{{- define "forecourt.secret" -}}
{{ .Values.existingSecret | default (printf "%s-secrets" (include "forecourt.name" .)) }}
{{- end -}}

{{/* What every pod of ours has: no root, no writable files but those it needs, no token of the cluster. */}}
{{- define "forecourt.pod" -}}
automountServiceAccountToken: false
{{- with .Values.imagePullSecrets }}
imagePullSecrets: {{ toYaml . | nindent 2 }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: 1000
  runAsGroup: 1000
  fsGroup: 1000
  seccompProfile: { type: RuntimeDefault }
{{- with .Values.nodeSelector }}
nodeSelector: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{ toYaml . | nindent 2 }}
{{- end }}
volumes:
  - name: tmp
    emptyDir: {}
  - name: metrics # empty at every start: metrics of processes that are gone must not be added up
    emptyDir: { medium: Memory, sizeLimit: 64Mi }
  - name: ratings
    {{- if .Values.ratings.existingClaim }}
    persistentVolumeClaim: { claimName: {{ .Values.ratings.existingClaim }} }
    {{- else }}
    emptyDir: {}
    {{- end }}
{{- end -}}

{{- define "forecourt.container" -}}
image: {{ include "forecourt.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: { drop: [ALL] }
envFrom:
  - configMapRef: { name: {{ include "forecourt.name" . }}-settings }
  - secretRef: { name: {{ include "forecourt.secret" . }} }
volumeMounts:
  - { name: tmp, mountPath: /tmp }
  - { name: metrics, mountPath: /run/metrics }
  - { name: ratings, mountPath: /app/var/ratings }
{{- end -}}

{{/* Pods take over a changed setting by being replaced. */}}
{{- define "forecourt.checksum" -}}
checksum/settings: {{ toJson (list .Values.settings .Values.secrets .Values.existingSecret) | sha256sum }}
{{- end -}}
