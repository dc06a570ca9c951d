{{- define "bridge.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 50 | trimSuffix "-" }}
{{- end }}

{{- define "bridge.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" }}
{{- else if contains (include "bridge.name" .) .Release.Name }}
{{- .Release.Name | trunc 50 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "bridge.name" .) | trunc 50 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "bridge.selector" -}}
app.kubernetes.io/name: {{ include "bridge.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- /* The labels of an object: a list of the context and further labels. */}}
{{- define "bridge.labels" -}}
{{- $root := index . 0 -}}
{{ include "bridge.selector" $root }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version }}
{{- with merge (dict) (index . 1) $root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- /* The metadata of an object without name and namespace: a list of the context, and further labels and annotations. */}}
{{- define "bridge.labelsAndAnnotations" -}}
{{- $root := index . 0 -}}
labels:
  {{- include "bridge.labels" (list $root (index . 1)) | nindent 2 }}
{{- with merge (dict) (index . 2) $root.Values.commonAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- /* The metadata of an object: a list of the context, what is appended to the name, and further labels and annotations. */}}
{{- define "bridge.metadata" -}}
{{- $root := index . 0 -}}
name: {{ include "bridge.fullname" $root }}{{ index . 1 }}
namespace: {{ $root.Release.Namespace }}
{{ include "bridge.labelsAndAnnotations" (list $root (index . 2) (index . 3)) }}
{{- end }}

{{- define "bridge.serviceAccountName" -}}
{{- default (include "bridge.fullname" .) .Values.serviceAccount.name }}
{{- end }}

{{- /* replicaCount, or its former name. */}}
{{- define "bridge.replicas" -}}
{{- if kindIs "invalid" .Values.replicas }}{{ .Values.replicaCount }}{{ else }}{{ .Values.replicas }}{{ end }}
{{- end }}

{{- define "bridge.gateSecret" -}}
{{- default (printf "%s-gate" (include "bridge.fullname" .)) .Values.secrets.gateToken.name }}
{{- end }}

{{- define "bridge.gatePort" -}}
{{- if .Values.service.gatePort }}{{ .Values.service.gatePort }}{{ else if .Values.secrets.tls.name }}443{{ else }}80{{ end }}
{{- end }}

{{- /* The URL of the gate for Flagger, without the port if it is the scheme's default. */}}
{{- define "bridge.gateUrl" -}}
{{- $port := include "bridge.gatePort" . }}
{{- $scheme := ternary "https" "http" (ne .Values.secrets.tls.name "") }}
{{- $own := ternary "443" "80" (ne .Values.secrets.tls.name "") }}
{{- printf "%s://%s.%s" $scheme (include "bridge.fullname" .) .Release.Namespace }}{{ if ne $port $own }}:{{ $port }}{{ end }}
{{- end }}

{{- /* Helm reads numbers as floats and would write 5.0: converts them to integers, in the given dict. */}}
{{- define "bridge.wholeNumbers" -}}
{{- $here := . }}
{{- range $key, $value := . }}
{{- if and (kindIs "float64" $value) (eq (floor $value) $value) }}
{{- $_ := set $here $key (int64 $value) }}
{{- else if kindIs "map" $value }}
{{- include "bridge.wholeNumbers" $value }}
{{- else if kindIs "slice" $value }}
{{- $list := list }}
{{- range $value }}
{{- $item := dict "it" . }}
{{- include "bridge.wholeNumbers" $item }}
{{- $list = append $list $item.it }}
{{- end }}
{{- $_ := set $here $key $list }}
{{- end }}
{{- end }}
{{- end }}

{{- /* config.toml: the values, and the keys that the chart sets itself. */}}
{{- define "bridge.config" -}}
{{- $listen := .Values.listenAddress }}
{{- $server := dict "gate_listen" (printf "%s:8080" $listen) "webhook_listen" (printf "%s:8081" $listen) }}
{{- $_ := set $server "admin_listen" (printf "%s:9090" (ternary $listen "127.0.0.1" .Values.admin.enabled)) }}
{{- if .Values.page.enabled }}{{ $_ := set $server "page_listen" (printf "%s:9091" $listen) }}{{ end }}
{{- if .Values.secrets.tls.name }}
{{- $_ := set $server "tls" (dict "cert_file" "/secrets/tls/tls.crt" "key_file" "/secrets/tls/tls.key") }}
{{- end }}
{{- $jira := dict }}
{{- with .Values.secrets.jiraOauth }}
{{- if .name }}
{{- $oauth := dict "client_id" .clientId "client_secret_file" "/secrets/jira-oauth" }}
{{- if .tokenUrl }}{{ $_ := set $oauth "token_url" .tokenUrl }}{{ end }}
{{- if .apiUrl }}{{ $_ := set $oauth "api_url" .apiUrl }}{{ end }}
{{- $_ := set $jira "oauth" $oauth }}
{{- else }}
{{- $_ := set $jira "token_file" "/secrets/jira-token" }}
{{- end }}
{{- end }}
{{- if .Values.secrets.webhook.name }}{{ $_ := set $jira "webhook_secret_file" "/secrets/jira-webhook" }}{{ end }}
{{- if .Values.secrets.jiraCa.name }}{{ $_ := set $jira "ca_file" "/secrets/jira-ca" }}{{ end }}
{{- $flagger := dict }}
{{- if .Values.secrets.gateToken.enabled }}{{ $_ := set $flagger "token_file" "/secrets/flagger-token" }}{{ end }}
{{- if .Values.clusters }}
{{- $clusters := list }}
{{- range .Values.clusters }}
{{- $cluster := dict "name" .name }}
{{- if .secret }}{{ $_ := set $cluster "token_file" (printf "/secrets/clusters/%s" .name) }}{{ end }}
{{- if .kubeconfig }}{{ $_ := set $cluster "kubeconfig_file" (printf "/secrets/kubeconfigs/%s" .name) }}{{ end }}
{{- $clusters = append $clusters $cluster }}
{{- end }}
{{- $_ := set $flagger "clusters" $clusters }}
{{- end }}
{{- if .Values.tokens }}
{{- $tokens := list }}
{{- range .Values.tokens }}
{{- $token := dict "token_file" (printf "/secrets/tokens/%s" .name) "namespaces" .namespaces }}
{{- if .cluster }}{{ $_ := set $token "cluster" .cluster }}{{ end }}
{{- $tokens = append $tokens $token }}
{{- end }}
{{- $_ := set $flagger "tokens" $tokens }}
{{- end }}
{{- $own := dict "server" $server "jira" $jira "flagger" $flagger }}
{{- if not .Values.secrets.postgresUrl.name }}{{ $_ := set $own "store" (dict "url" "sqlite:///data/bridge.db") }}{{ end }}
{{- $all := mergeOverwrite (deepCopy .Values.config) $own }}
{{- include "bridge.wholeNumbers" $all }}
{{- toToml $all | trim }}
{{- end }}

{{- /* Longer than server.shutdown_grace, so that the bridge ends by itself. */}}
{{- define "bridge.terminationGrace" -}}
{{- $grace := dig "server" "shutdown_grace" "20s" .Values.config }}
{{- $number := regexFind "^[0-9]+" $grace | int64 }}
{{- $unit := regexFind "[a-z]+$" $grace }}
{{- if eq $unit "ms" }}{{ add (div $number 1000) 11 }}{{ else }}{{ add (mul $number (get (dict "s" 1 "m" 60 "h" 3600 "d" 86400) $unit)) 10 }}{{ end }}
{{- end }}

{{- /* The port of Jira's URL. */}}
{{- define "bridge.jiraPort" -}}
{{- $url := urlParse (dig "jira" "url" "" .Values.config) }}
{{- $port := regexFind ":[0-9]+$" $url.host | trimPrefix ":" }}
{{- default (ternary "80" "443" (eq $url.scheme "http")) $port }}
{{- end }}

{{- /* The name of a role: a list of the context and its namespace, empty for a ClusterRole. Those of two releases must
differ, also across namespaces. */}}
{{- define "bridge.rbacName" -}}
{{- $root := index . 0 -}}
{{- printf "%s-%s" (include "bridge.fullname" $root) $root.Release.Namespace }}
{{- end }}

{{- define "bridge.rbacMetadata" -}}
{{- $root := index . 0 -}}
name: {{ include "bridge.rbacName" . }}
{{- with index . 1 }}
namespace: {{ . }}
{{- end }}
{{ include "bridge.labelsAndAnnotations" (list $root (dict) (dict)) }}
{{- end }}

{{- /* "true" if the bridge reads the API server of the cluster that it runs in. */}}
{{- define "bridge.readsCluster" -}}
{{- if ne (dig "kubernetes" "mode" "off" .Values.config) "off" }}true{{ end }}
{{- end }}

{{- /* The namespaces that the bridge reads, as JSON, if config.flagger.namespaces names them all in full. Otherwise it reads
all, with one watch for each kind. */}}
{{- define "bridge.readNamespaces" -}}
{{- $names := list }}
{{- range dig "flagger" "namespaces" (list "*") .Values.config }}
{{- if not (regexMatch "[*?\\[{\\\\]" .) }}{{ $names = append $names . }}{{ end }}
{{- end }}
{{- if eq (len $names) (len (dig "flagger" "namespaces" (list "*") .Values.config)) }}{{ toJson (uniq $names) }}{{ end }}
{{- end }}

{{- define "bridge.namespaces" -}}
{{- range . }}
- namespaceSelector:
    matchLabels: { kubernetes.io/metadata.name: {{ . | quote }} }
{{- end }}
{{- end }}

{{- /* Refuses missing required values and combinations that do not work. */}}
{{- define "bridge.validate" -}}
{{- $_ := required "image.repository is missing: where you pushed the image that the Dockerfile builds" .Values.image.repository }}
{{- $_ := required "config.jira.url is missing: for example https://example.atlassian.net" (dig "jira" "url" "" .Values.config) }}
{{- $_ := required "config.ticket.project is missing: the key of the Jira project in which tickets are opened" (dig "ticket" "project" "" .Values.config) }}
{{- with .Values.secrets }}
{{- if not .jiraOauth.name }}
{{- $_ := required "secrets.jiraToken.name is missing: the Secret that holds Jira's token" .jiraToken.name }}
{{- else if .jiraToken.name }}
{{- fail "secrets.jiraToken.name and secrets.jiraOauth.name are both set: remove one of the two" }}
{{- else }}
{{- $_ := required "secrets.jiraOauth.clientId is missing: the client id of the service account's OAuth 2.0 credential" .jiraOauth.clientId }}
{{- end }}
{{- end }}
{{- if not (or (kindIs "invalid" .Values.replicas) (eq (int .Values.replicaCount) 1)) }}
{{- fail "replicaCount and replicas are both set: remove replicas, the former name of replicaCount" }}
{{- end }}
{{- $replicas := include "bridge.replicas" . | int }}
{{- if and (gt $replicas 1) (not .Values.secrets.postgresUrl.name) }}
{{- fail (printf "replicaCount: %d needs PostgreSQL: set secrets.postgresUrl.name, or replicaCount: 1" $replicas) }}
{{- end }}
{{- if not .Values.serviceAccount.create }}
{{- $_ := required "serviceAccount.name is missing: with create: false it names an existing ServiceAccount" .Values.serviceAccount.name }}
{{- end }}
{{- if .Values.ingress.enabled }}
{{- $_ := required "ingress.host is missing: the name under which Jira reaches the webhook" .Values.ingress.host }}
{{- $_ := required "ingress.enabled needs secrets.webhook.name: without a secret the webhook is off" .Values.secrets.webhook.name }}
{{- end }}
{{- if and .Values.serviceMonitor.enabled (not .Values.admin.enabled) }}
{{- fail "serviceMonitor.enabled needs admin.enabled: metrics are on the admin port" }}
{{- end }}
{{- end }}
