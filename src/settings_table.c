/* Every setting, once. */
#include "settings_table.h"

enum { SECOND = 1000, MINUTE = 60 * SECOND, HOUR = 60 * MINUTE, MIB = 1024 * 1024 };
#define DAY (24 * (int64_t)HOUR)

#define HOURS_QUERY(series)                                                                                  \
    "sum(increase(" series "{namespace=~\"{{namespace}}\",service=~\"{{service}}\"}[{{range}}])) / 3600"

const struct setting_row setting_rows[SETTING_COUNT] = {
    [OSCAR_USERNAME] = {"OSCAR_USERNAME", "", TYPE_TEXT, SETTING_REQUIRED | SETTING_LOGIN | SETTING_FROM_FILE,
                        .group = "OSCAR", .help = "the admin's name (HTTP Basic)"},
    [OSCAR_PASSWORD] = {"OSCAR_PASSWORD", "", TYPE_TEXT,
                        SETTING_REQUIRED | SETTING_LOGIN | SETTING_SECRET | SETTING_FROM_FILE,
                        .help = "the admin's password (with the name and a colon 8 KiB at most)"},
    [OSCAR_NAMESPACE] = {"OSCAR_NAMESPACE", "oscar", TYPE_NAME, .help = "where OSCAR's manager runs"},
    [OSCAR_SERVICES_NAMESPACE] = {"OSCAR_SERVICES_NAMESPACE", "oscar-svc", TYPE_NAME,
                                  .help =
                                      "where services run; those of single owners begin with it and \"-\""},
    [OIDC_ENABLE] =
        {"OIDC_ENABLE", "false", TYPE_FLAG, .group = "OIDC users",
         .help = "users with a token of an OpenID provider see what is visible to them; false: they get 401"},
    [OIDC_ISSUERS] = {"OIDC_ISSUERS", "", TYPE_URLS,
                      .help = "the providers whose tokens are accepted: issuers, comma-separated, byte for "
                              "byte as the tokens have them"},
    [OIDC_GROUPS] = {"OIDC_GROUPS", "", TYPE_TEXT,
                     .help = "groups that get in, comma-separated; empty: nobody does"},
    [OIDC_CA_FILE] = {"OIDC_CA_FILE", "", TYPE_TEXT,
                      .help = "certificates (PEM) to trust instead of the system's"},
    [OSCAR_METRICS_SCOPE] = {"OSCAR_METRICS_SCOPE", "visible", TYPE_CHOICE, .choices = "visible owned",
                             .help = "what OIDC users see; visible: the services visible to them; owned: "
                                     "only their own, deleted ones too"},
    [OSCAR_METRICS_PSEUDONYMS] =
        {"OSCAR_METRICS_PSEUDONYMS", "false", TYPE_FLAG, SETTING_LOGIN,
         .help = "OIDC users see a stable pseudonym, \"user-\" and 32 hexadecimal digits, in place of other "
                 "people's ids; their own stays, and the admin sees ids"},
    [OSCAR_METRICS_PSEUDONYM_KEY] =
        {"OSCAR_METRICS_PSEUDONYM_KEY", "", TYPE_TEXT, SETTING_LOGIN | SETTING_SECRET | SETTING_FROM_FILE,
         .help =
             "what pseudonyms are made with (HMAC-SHA-256), required for them: 32 random bytes or more, as "
             "\"openssl rand -hex 32\" gives; the same key gives the same pseudonyms, another one others"},
    [PROMETHEUS_URL] = {"PROMETHEUS_URL", "http://prometheus-server.monitoring.svc.cluster.local", TYPE_URL,
                        SETTING_NONE_ALLOWED, .group = "Prometheus: CPU and GPU hours",
                        .help = "the server; \"none\": no hours are wanted"},
    [PROMETHEUS_CPU_QUERY] =
        {"PROMETHEUS_CPU_QUERY", HOURS_QUERY("container_cpu_usage_seconds_total"), TYPE_TEXT,
         .help = "PromQL for CPU hours, with {{range}}, {{service}} (without it: none for single services), "
                 "{{namespace}} (without it: none for single owners), {{services_namespace}}; sums of "
                 "increase() and sum_over_time() over [{{range}}] can be asked in shorter ranges when the "
                 "whole is too much for the server"},
    [PROMETHEUS_GPU_QUERY] = {"PROMETHEUS_GPU_QUERY", HOURS_QUERY("container_gpu_usage_seconds_total"),
                              TYPE_TEXT, .help = "the same for GPU hours"},
    [PROMETHEUS_TOKEN] = {"PROMETHEUS_TOKEN", "", TYPE_TEXT, SETTING_SECRET | SETTING_FROM_FILE,
                          .help = "bearer token"},
    [PROMETHEUS_USERNAME] = {"PROMETHEUS_USERNAME", "", TYPE_TEXT, SETTING_FROM_FILE, .help = "HTTP Basic"},
    [PROMETHEUS_PASSWORD] = {"PROMETHEUS_PASSWORD", "", TYPE_TEXT, SETTING_SECRET | SETTING_FROM_FILE,
                             .help = "HTTP Basic"},
    [PROMETHEUS_CA_FILE] = {"PROMETHEUS_CA_FILE", "", TYPE_TEXT,
                            .help = "certificates (PEM) to trust instead of the system's"},
    [LOKI_URL] = {"LOKI_URL", "", TYPE_URL, .group = "Loki: requests",
                  .help = "the server; empty: pods' logs, through the Kubernetes API"},
    [LOKI_QUERY] = {"LOKI_QUERY", "{namespace=\"{{namespace}}\", app=\"{{app}}\"} |~ \"/(job|run)/\"",
                    TYPE_TEXT, .help = "LogQL for requests, with {{namespace}}, {{app}}, {{service}}"},
    [LOKI_EXPOSED_QUERY] =
        {"LOKI_EXPOSED_QUERY",
         "{namespace=\"{{namespace}}\", app=\"{{app}}\"} |~ \"/system/services/.+/exposed\"", TYPE_TEXT,
         .help = "LogQL for requests to exposed services; with subdomain routes the default "
                 "has no filter on the path"},
    [LOKI_EXPOSED_NAMESPACE] = {"LOKI_EXPOSED_NAMESPACE", "ingress-nginx", TYPE_NAME,
                                .help =
                                    "where the ingress controller runs; also where its pods' logs are read"},
    [LOKI_EXPOSED_APP] = {"LOKI_EXPOSED_APP", "ingress-nginx", TYPE_TEXT,
                          .help = "what the ingress controller is called; of pods the label "
                                  "app.kubernetes.io/name"},
    [LOKI_TENANT] = {"LOKI_TENANT", "", TYPE_TEXT, .help = "X-Scope-OrgID"},
    [LOKI_PARALLEL] = {"LOKI_PARALLEL", "4", TYPE_COUNT, .least = 1, .most = 64, .help = "windows at once"},
    [LOKI_TOKEN] = {"LOKI_TOKEN", "", TYPE_TEXT, SETTING_SECRET | SETTING_FROM_FILE, .help = "bearer token"},
    [LOKI_USERNAME] = {"LOKI_USERNAME", "", TYPE_TEXT, SETTING_FROM_FILE, .help = "HTTP Basic"},
    [LOKI_PASSWORD] = {"LOKI_PASSWORD", "", TYPE_TEXT, SETTING_SECRET | SETTING_FROM_FILE,
                       .help = "HTTP Basic"},
    [LOKI_CA_FILE] = {"LOKI_CA_FILE", "", TYPE_TEXT,
                      .help = "certificates (PEM) to trust instead of the system's"},
    [EXPOSED_SERVICES_USE_SUBDOMAIN_ROUTE] =
        {"EXPOSED_SERVICES_USE_SUBDOMAIN_ROUTE", "false", TYPE_FLAG, .group = "Exposed services",
         .help = "exposed services have host names of their own: the access logs say which "
                 "service by the host's first label (Traefik) or by the upstream (ingress-nginx)"},
    [EXPOSED_SERVICES_ROUTE_KIND] =
        {"EXPOSED_SERVICES_ROUTE_KIND", "ingress", TYPE_CHOICE, .choices = "ingress httproute",
         .help = "how OSCAR exposes services; the lines of both are always understood"},
    [GEOIP_DATABASE] = {"GEOIP_DATABASE", "", TYPE_TEXT, .group = "Countries",
                        .help =
                            "countries of clients' addresses: an MMDB file (GeoLite2, DB-IP, ...), opened "
                            "again when it changes; empty: none are known"},
    [OSCAR_METRICS_LISTEN] = {"OSCAR_METRICS_LISTEN", "", TYPE_LISTEN, .group = "This program",
                              .help = "a socket path or host:port to open; empty: descriptor 0"},
    [OSCAR_METRICS_WORKERS] =
        {"OSCAR_METRICS_WORKERS", "16", TYPE_COUNT, .least = 1, .most = 1024,
         .help = "threads; a quarter of them, and one at least of several, is kept for answers "
                 "that need no backend; when all the others are taken, further reports wait"},
    [OSCAR_METRICS_DEADLINE] = {"OSCAR_METRICS_DEADLINE", "50s", TYPE_DURATION, .least = SECOND, .most = HOUR,
                                .help = "for one request; keep it below the web server's (nginx: 60 s)"},
    [OSCAR_METRICS_MAX_RANGE] = {"OSCAR_METRICS_MAX_RANGE", "400d", TYPE_DURATION, .least = SECOND,
                                 .most = 36600 * DAY, .help = "longer ranges are refused"},
    [OSCAR_METRICS_SETTLE] = {"OSCAR_METRICS_SETTLE", "1h", TYPE_DURATION, .least = 0, .most = 30 * DAY,
                              .help = "how long after its end an hour may still get lines"},
    [OSCAR_METRICS_MEMORY] =
        {"OSCAR_METRICS_MEMORY", "256MiB", TYPE_SIZE, .least = MIB, .most = (int64_t)1024 * 1024 * MIB,
         .help = "for what is remembered; and as much again at most for each report that is being made"},
    [OSCAR_METRICS_LOG_FILES] = {"OSCAR_METRICS_LOG_FILES", "", TYPE_TEXT,
                                 .group = "Files instead of servers",
                                 .help = "logs of OSCAR's manager: globs, comma-separated; plain or gzip"},
    [OSCAR_METRICS_EXPOSED_LOG_FILES] = {"OSCAR_METRICS_EXPOSED_LOG_FILES", "", TYPE_TEXT,
                                         .help = "logs of the ingress controller, likewise"},
    [OSCAR_METRICS_LOG_TIMEZONE] = {"OSCAR_METRICS_LOG_TIMEZONE", "UTC", TYPE_ZONE,
                                    .help = "of the older line format, an IANA name"},
    [OSCAR_METRICS_SERVICES_DIR] =
        {"OSCAR_METRICS_SERVICES_DIR", "", TYPE_TEXT,
         .help = "a folder of service definitions (YAML); a sub-folder is a namespace"},
    [OSCAR_METRICS_KUBE_URL] = {"OSCAR_METRICS_KUBE_URL", "", TYPE_URL, .group = "The Kubernetes API",
                                .help = "where it is, seen from outside the cluster; empty: in a pod, as "
                                        "the pod is told"},
    [OSCAR_METRICS_KUBE_TOKEN_FILE] =
        {"OSCAR_METRICS_KUBE_TOKEN_FILE", "", TYPE_TEXT,
         .help = "bearer token, read for each request; empty: in a pod its service account's, else none"},
    [OSCAR_METRICS_KUBE_CA_FILE] = {"OSCAR_METRICS_KUBE_CA_FILE", "", TYPE_TEXT,
                                    .help = "certificates (PEM) to trust; empty: in a pod its service "
                                            "account's, else the system's"},
    [KUBERNETES_SERVICE_HOST] = {"KUBERNETES_SERVICE_HOST", "", TYPE_TEXT,
                                 .help = "set by Kubernetes in every pod"},
    [KUBERNETES_SERVICE_PORT] = {"KUBERNETES_SERVICE_PORT", "443", TYPE_COUNT, .least = 1, .most = 65535,
                                 .help = "set by Kubernetes in every pod"},
};
