"""Section 8: settings, their defaults and faults, and the program's options."""
import os
import re
import socket

import pytest

from harness import app as harness
from harness import expect

DEFAULTS = {
    "OSCAR_NAMESPACE": "oscar",
    "OSCAR_SERVICES_NAMESPACE": "oscar-svc",
    "OIDC_ENABLE": "false",
    "OIDC_ISSUERS": "",
    "OIDC_GROUPS": "",
    "OIDC_CA_FILE": "",
    "PROMETHEUS_URL": "http://prometheus-server.monitoring.svc.cluster.local",
    "PROMETHEUS_CPU_QUERY": 'sum(increase(container_cpu_usage_seconds_total{namespace=~"{{namespace}}",'
                            'service=~"{{service}}"}[{{range}}])) / 3600',
    "PROMETHEUS_GPU_QUERY": 'sum(increase(container_gpu_usage_seconds_total{namespace=~"{{namespace}}",'
                            'service=~"{{service}}"}[{{range}}])) / 3600',
    "PROMETHEUS_TOKEN": "", "PROMETHEUS_USERNAME": "", "PROMETHEUS_PASSWORD": "", "PROMETHEUS_CA_FILE": "",
    "LOKI_URL": "",
    "LOKI_QUERY": '{namespace="{{namespace}}", app="{{app}}"} |~ "/(job|run)/"',
    "LOKI_EXPOSED_QUERY": '{namespace="{{namespace}}", app="{{app}}"} |~ "/system/services/.+/exposed"',
    "LOKI_EXPOSED_NAMESPACE": "ingress-nginx",
    "LOKI_EXPOSED_APP": "ingress-nginx",
    "LOKI_TENANT": "", "LOKI_PARALLEL": "4",
    "LOKI_TOKEN": "", "LOKI_USERNAME": "", "LOKI_PASSWORD": "", "LOKI_CA_FILE": "",
    "EXPOSED_SERVICES_USE_SUBDOMAIN_ROUTE": "false",
    "EXPOSED_SERVICES_ROUTE_KIND": "ingress",
    "GEOIP_DATABASE": "",
    "OSCAR_METRICS_LISTEN": "",
    "OSCAR_METRICS_WORKERS": "16",
    "OSCAR_METRICS_DEADLINE": "50s",
    "OSCAR_METRICS_MAX_RANGE": "400d",
    "OSCAR_METRICS_SETTLE": "1h",
    "OSCAR_METRICS_MEMORY": "256MiB",
    "OSCAR_METRICS_LOG_FILES": "", "OSCAR_METRICS_EXPOSED_LOG_FILES": "",
    "OSCAR_METRICS_LOG_TIMEZONE": "UTC",
    "OSCAR_METRICS_SERVICES_DIR": "",
    "OSCAR_METRICS_KUBE_URL": "", "OSCAR_METRICS_KUBE_TOKEN_FILE": "", "OSCAR_METRICS_KUBE_CA_FILE": "",
    "KUBERNETES_SERVICE_HOST": "", "KUBERNETES_SERVICE_PORT": "443",
    "OSCAR_METRICS_SCOPE": "visible",
    "OSCAR_METRICS_PSEUDONYMS": "false", "OSCAR_METRICS_PSEUDONYM_KEY": "",
}
SECRETS = ["OSCAR_PASSWORD", "PROMETHEUS_TOKEN", "PROMETHEUS_PASSWORD", "LOKI_TOKEN", "LOKI_PASSWORD",
           "OSCAR_METRICS_PSEUDONYM_KEY"]


def check(settings=None):
    return harness.run("--check-config", settings={"PROMETHEUS_URL": None, **(settings or {})})


def in_force(settings=None):
    """What --check-config prints: {name: value}."""
    done = check(settings)
    assert done.returncode == 0, done
    found = {}
    for line in done.stdout.splitlines():
        name, _, rest = line.partition("=")
        found[name] = re.sub(r"  # (default|environment|file.*)$", "", rest)
    return found


def test_every_setting_is_printed_with_its_default():
    found = in_force()
    assert {name: found.get(name) for name in DEFAULTS} == DEFAULTS
    assert set(found) == set(DEFAULTS) | {"OSCAR_USERNAME", "OSCAR_PASSWORD"}


def test_subdomain_routes_have_a_query_of_their_own():
    assert in_force({"EXPOSED_SERVICES_USE_SUBDOMAIN_ROUTE": "true"})["LOKI_EXPOSED_QUERY"] == \
        '{namespace="{{namespace}}", app="{{app}}"}'


def test_an_empty_variable_is_one_that_is_not_set():
    optional = {name: "" for name in DEFAULTS}
    found = in_force(optional)
    assert {name: found.get(name) for name in DEFAULTS} == DEFAULTS


GOOD = [
    ("OSCAR_METRICS_DEADLINE", ["1s", "50s", "15m", "1h"]),
    ("OSCAR_METRICS_MAX_RANGE", ["1h", "24h", "400d", "3650d"]),
    ("OSCAR_METRICS_SETTLE", ["0s", "15m", "24h"]),
    ("OSCAR_METRICS_MEMORY", ["64MiB", "1GiB"]),
    ("OSCAR_METRICS_WORKERS", ["1", "2", "64"]),
    ("OSCAR_METRICS_LOG_TIMEZONE", ["UTC", "Europe/Madrid", "America/Argentina/Buenos_Aires"]),
    ("OSCAR_METRICS_SCOPE", ["visible", "owned"]),
    ("EXPOSED_SERVICES_ROUTE_KIND", ["ingress", "httproute"]),
    ("OIDC_ENABLE", ["true", "false"]),
    ("PROMETHEUS_URL", ["none", "http://h", "https://h:9090/x"]),
    ("LOKI_PARALLEL", ["1", "8"]),
]


@pytest.mark.parametrize("name,values", GOOD, ids=[row[0] for row in GOOD])
def test_values_that_parse(name, values):
    for value in values:
        # The zero of a duration may be printed in another unit.
        assert in_force({name: value})[name] == value or value == "0s"


BAD = [
    ("OSCAR_USERNAME", [None, ""]),
    ("OSCAR_PASSWORD", [None, ""]),
    ("OSCAR_METRICS_DEADLINE", ["50", "s", "x", "-1s", "1.5s", "1s x", "0s", "50 s s", "1y", "99999999999999999999s"]),
    ("OSCAR_METRICS_MAX_RANGE", ["400", "400D", "-1d", "d", "forever"]),
    ("OSCAR_METRICS_SETTLE", ["1", "soon", "-1h"]),
    ("OSCAR_METRICS_MEMORY", ["64M1B", "MiB", "-1MiB", "much", "99999999999999999999GiB"]),
    ("OSCAR_METRICS_WORKERS", ["0", "-1", "x", "1x", "1.5", "99999999999999999999", "1000000"]),
    ("OSCAR_METRICS_LOG_TIMEZONE", ["Mars/Phobos", "UTC+1x", "../../etc/passwd", "/etc/localtime", "Europe"]),
    ("OSCAR_METRICS_SCOPE", ["all", "VISIBLE?", "own"]),
    ("OSCAR_METRICS_LISTEN", ["host:", "127.0.0.1:x", "127.0.0.1:70000", "127.0.0.1:-1"]),
    ("EXPOSED_SERVICES_ROUTE_KIND", ["gateway", "x"]),
    ("EXPOSED_SERVICES_USE_SUBDOMAIN_ROUTE", ["maybe", "2"]),
    ("OIDC_ENABLE", ["maybe", "2"]),
    ("OSCAR_METRICS_PSEUDONYMS", ["maybe", "2"]),
    ("PROMETHEUS_URL", ["ftp://h", "h:9090", "//h", "http://", "file:///etc/passwd", "x y", "http://h h/"]),
    ("LOKI_URL", ["ftp://h", "x"]),
    ("LOKI_PARALLEL", ["0", "-1", "x"]),
    ("OSCAR_METRICS_KUBE_URL", ["ftp://h", "x"]),
    ("OSCAR_SERVICES_NAMESPACE", ["Not A Name", "x/y"]),
]


@pytest.mark.parametrize("name,value", [(name, value) for name, values in BAD for value in values])
def test_a_value_that_does_not_parse_stops_the_start(name, value):
    done = check({name: value})
    assert done.returncode == 1
    lines = [line for line in (done.stdout + done.stderr).splitlines() if name in line]
    assert len(lines) == 1, "one line that names it"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("")
        listening.listen(1)
        done = harness.run(settings={name: value}, stdin=listening)
    assert done.returncode == 1
    assert name in done.stderr


def test_every_fault_is_named_at_once():
    done = check({"OSCAR_USERNAME": None, "OSCAR_METRICS_WORKERS": "x", "PROMETHEUS_URL": "x"})
    lines = (done.stdout + done.stderr).splitlines()
    for name in ("OSCAR_USERNAME", "OSCAR_METRICS_WORKERS", "PROMETHEUS_URL"):
        assert sum(name in line for line in lines) == 1


def test_secrets_are_masked():
    secret = "s3cr3t-4711"
    done = check({**{name: secret for name in SECRETS}, "PROMETHEUS_URL": f"http://u:{secret}@h/"})
    assert done.returncode == 0
    assert secret not in done.stdout + done.stderr
    for name in SECRETS:
        assert re.search(rf"^{name}=\*+", done.stdout, re.MULTILINE)


def test_the_mask_does_not_tell_the_length():
    def masked(password):
        return in_force({"OSCAR_PASSWORD": password})["OSCAR_PASSWORD"]

    assert masked("x") == masked("x" * 50)


def test_faults_do_not_repeat_secrets(folder):
    secret = "s3cr3t-4711"
    (folder / "secret").write_bytes(secret.encode() + b"\0\n\n")
    for settings in ({"PROMETHEUS_URL": f"http//u:{secret}@h"},
                     {"OSCAR_PASSWORD": None, "OSCAR_PASSWORD_FILE": folder / "secret"}):
        done = check(settings)
        assert done.returncode == 1
        assert secret not in done.stdout + done.stderr


# Secrets from files.

@pytest.mark.parametrize("name", ["OSCAR_USERNAME", *SECRETS, "PROMETHEUS_USERNAME", "LOKI_USERNAME"])
def test_a_secret_may_come_from_a_file(folder, name):
    (folder / "secret").write_text("from-a-file")
    found = in_force({name: None, f"{name}_FILE": folder / "secret"})
    assert found[name] != "", "it is set"
    assert "from-a-file" not in found[name] or name.endswith("USERNAME")


BAD_FILES = ["nowhere", "directory", "empty", "loop"]


@pytest.mark.parametrize("kind", BAD_FILES)
def test_a_secrets_file_that_cannot_be_used_stops_the_start(folder, kind):
    (folder / "directory").mkdir()
    (folder / "empty").write_text("")
    (folder / "loop").symlink_to("loop")
    done = check({"OSCAR_PASSWORD": None, "OSCAR_PASSWORD_FILE": folder / kind})
    assert done.returncode == 1
    assert "OSCAR_PASSWORD" in done.stdout + done.stderr


def test_a_secrets_file_that_never_ends_stops_the_start():
    done = check({"OSCAR_PASSWORD": None, "OSCAR_PASSWORD_FILE": "/dev/zero"})
    assert done.returncode == 1
    assert "OSCAR_PASSWORD" in done.stdout + done.stderr


def test_a_fifo_as_a_secrets_file_does_not_hang_the_start(folder):
    os.mkfifo(folder / "fifo")
    done = check({"OSCAR_PASSWORD": None, "OSCAR_PASSWORD_FILE": folder / "fifo"})
    assert done.returncode == 1


# Options.

@pytest.mark.parametrize("option", ["--help", "-h"])
def test_help_names_every_setting(option):
    done = harness.run(option)
    assert done.returncode == 0
    for name in [*DEFAULTS, "OSCAR_USERNAME", "OSCAR_PASSWORD"]:
        assert name in done.stdout
    for other in ("--check-config", "--version"):
        assert other in done.stdout


def test_version():
    done = harness.run("--version")
    assert done.returncode == 0
    assert re.fullmatch(r"oscar-metrics \d+\.\d+\S*\n", done.stdout)


@pytest.mark.parametrize("arguments", [["--nothing"], ["x"], ["--check-config=x"]])
def test_other_arguments_are_refused(arguments):
    done = harness.run(*arguments)
    assert done.returncode not in (0, None)
    assert done.stderr


def test_options_need_no_settings():
    for option in ("--help", "--version"):
        assert harness.run(option, settings={"OSCAR_USERNAME": None, "OSCAR_PASSWORD": None}).returncode == 0


# Settings that the answers show.

def test_variables_of_proxies_are_not_used(start, fake):
    answer = start({"PROMETHEUS_URL": fake.url, "http_proxy": "http://127.0.0.1:1", "HTTP_PROXY": "http://127.0.0.1:1",
                    "ALL_PROXY": "http://127.0.0.1:1", "all_proxy": "http://127.0.0.1:1"}).summary()
    assert answer.source("prometheus")["status"] == "ok"


def test_oidc_is_off_unless_it_is_turned_on(start):
    app = start({"OIDC_ISSUERS": "https://issuer.invalid", "OIDC_GROUPS": "g"})
    answer = app.get("/system/metrics", auth="Bearer a.b.c")
    assert answer.status == 401
    expect.common_headers(answer)
