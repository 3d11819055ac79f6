"""deploy/monitoring: a real Prometheus scrapes the program through nginx's operator location, evaluates the alerts, and
answers every question of the dashboard. Rules are tested one by one by promtool (tests/data/alerts_test.yaml)."""
import collections
import json
import math
import re
import socket
import subprocess

import pytest

from harness import jose, promql
from harness.app import ROOT
from harness.client import ADMIN, basic
from harness.fake_prometheus import Reply, vector
from harness.kube import Kube, internal_error
from harness.loki import Loki, refusal
from harness.logdata import request, write
from harness.lokidata import Data, nanoseconds
from harness.nginx import Nginx
from harness.prometheus import Prometheus
from harness.validators import read_yaml
from harness.waiting import PATIENCE, wait_until

MONITORING = ROOT / "deploy" / "monitoring"
RULES, CONFIGURATION = MONITORING / "alerts.yaml", MONITORING / "prometheus.yaml"
RULE_TESTS = ROOT / "tests" / "data" / "alerts_test.yaml"
DASHBOARD = json.loads((MONITORING / "dashboard.json").read_text())
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
ANNOTATIONS = [annotation["target"]["expr"] for annotation in DASHBOARD["annotations"]["list"]]
QUERIES = [target["expr"] for panel in PANELS for target in panel["targets"]] + ANNOTATIONS

# What the program shows and the dashboard does not.
NOT_ON_THE_DASHBOARD = set()
# What Prometheus itself makes.
PROMETHEUS_OWN = {"up", "ALERTS"}

DAY = "start=2026-01-01T00:00:00Z&end=2026-01-01T23:59:59.999999999Z"


def promtool(*arguments, **options):
    return subprocess.run(["promtool", *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          timeout=PATIENCE * 3, check=False, **options)


def title_of(panel):
    return panel["title"]


@pytest.fixture(scope="module")
def alerts():
    """The rules of the one group that there is."""
    [document] = read_yaml(RULES.read_text())
    [group] = document["groups"]
    return group["rules"]


# ---- The rules, by themselves.

def test_promtool_accepts_the_rules():
    result = promtool("check", "rules", "--lint=all", "--lint-fatal", RULES)
    assert result.returncode == 0 and "SUCCESS" in result.stdout, result.stdout


def test_rules_do_what_their_tests_say():
    result = promtool("test", "rules", RULE_TESTS)
    assert result.returncode == 0 and "SUCCESS" in result.stdout, result.stdout


def test_every_alert_waits_and_says_what_to_do(alerts):
    assert len({alert["alert"] for alert in alerts}) == len(alerts) > 0
    panels = {panel["title"] for panel in PANELS}
    for alert in alerts:
        assert alert["alert"].startswith("OscarMetrics"), "the dashboard looks for them by that"
        assert re.fullmatch(r"\d+m", alert["for"]), alert
        assert alert["labels"]["severity"] in ("warning", "critical"), alert
        assert set(alert["annotations"]) == {"summary", "description", "runbook"}, alert
        page, heading = alert["annotations"]["runbook"].split(", ")
        assert re.search(f"^## {heading}$", (ROOT / page).read_text(), re.M), alert
        assert len(alert["annotations"]["summary"]) < 100 < len(alert["annotations"]["description"]), alert
        # A title in quotes is one of the dashboard's.
        assert set(re.findall(r'"([A-Z][^":]+)"', alert["annotations"]["description"])) <= panels, alert


def test_every_alert_is_tested_firing_and_silent(alerts):
    [document] = read_yaml(RULE_TESTS.read_text())
    healthy, *faults = document["tests"]
    assert healthy["name"] == "healthy"
    given = {promql.selectors(series["series"])[0][0] for series in healthy["input_series"]}
    nothing_fires = [test for test in healthy["promql_expr_test"]
                     if 'max_over_time(ALERTS{alertstate="firing"}[' in test["expr"] and "exp_samples" not in test]
    assert nothing_fires, "all alerts, over the whole time"
    fired, silent = set(), set()
    for fault in faults:
        for test in fault["promql_expr_test"]:
            for name, braces in promql.selectors(test["expr"]):
                wanted = {label: value for label, _, value in promql.matchers(braces)}
                if name == "ALERTS" and wanted.get("alertstate") == "firing":
                    (fired if test.get("exp_samples") else silent).add(wanted["alertname"])
    for alert in alerts:
        assert promql.metrics(alert["expr"]) <= given, f"{alert['alert']}: the healthy test has nothing to see"
        assert alert["alert"] in fired, f"{alert['alert']} is never seen firing"
        assert alert["alert"] in silent, f"{alert['alert']} is never seen waiting"


def test_the_page_lists_every_alert(alerts):
    page = (ROOT / "docs" / "operations.md").read_text()
    rows = re.findall(r"^\| `(OscarMetrics\w+)` \| .* \| (\w+) \|$", page, re.M)
    assert rows == [(alert["alert"], alert["labels"]["severity"]) for alert in alerts]


# ---- The dashboard, by itself.

def test_the_dashboard_can_be_imported():
    assert DASHBOARD["uid"] == "oscar-metrics" and DASHBOARD["id"] is None and DASHBOARD["title"]
    assert DASHBOARD["schemaVersion"] >= 39
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)
    titles = [panel["title"] for panel in DASHBOARD["panels"]]
    assert len(set(titles)) == len(titles)
    variables = {variable["name"]: variable for variable in DASHBOARD["templating"]["list"]}
    assert variables["datasource"]["type"] == "datasource" and variables["datasource"]["query"] == "prometheus"
    used = set(re.findall(r"\$\{?(\w+)", json.dumps(DASHBOARD)))
    assert used - {"__rate_interval", "__range", "__all"} == set(variables)


@pytest.mark.parametrize("panel", PANELS, ids=title_of)
def test_a_panel_says_what_it_shows(panel):
    source = {"type": "prometheus", "uid": "${datasource}"}
    assert panel["title"] and panel["description"].endswith((".", ")"))
    assert panel["type"] in ("timeseries", "stat", "state-timeline")
    assert panel["datasource"] == source
    assert panel["fieldConfig"]["defaults"]["unit"] in ("s", "bytes", "Bps", "short", "none", "reqps", "percentunit")
    assert panel["targets"]
    references = [target["refId"] for target in panel["targets"]]
    assert len(set(references)) == len(references)
    for target in panel["targets"]:
        assert target["datasource"] == source and target["expr"] and target["legendFormat"]
        # All but the alerts, which Prometheus makes, are of the chosen processes.
        for name, braces in promql.selectors(target["expr"]):
            assert name == "ALERTS" or braces.startswith('{job=~"$job", instance=~"$instance"'), target
    names = {target["legendFormat"] for target in panel["targets"]}
    for override in panel["fieldConfig"]["overrides"]:
        assert any(fits(override["matcher"]["options"], name) for name in names), override


def fits(text, legend):
    """Can the legend's format give this text?"""
    return re.fullmatch(re.sub(r"\\\{\\\{\w+\\\}\\\}", ".+", re.escape(legend)), text)


def test_panels_do_not_overlap():
    taken = collections.Counter()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        assert 0 <= place["x"] and place["x"] + place["w"] <= 24 and place["w"] > 0 and place["h"] > 0, panel["title"]
        taken.update((x, y) for x in range(place["x"], place["x"] + place["w"])
                     for y in range(place["y"], place["y"] + place["h"]))
    assert max(taken.values()) == 1
    assert {y for _, y in taken} == set(range(max(y for _, y in taken) + 1)), "no gaps"


# ---- With the program.

class Scene:
    """The program with all its backends, nginx before it, and Prometheus, which has scraped it before the first request
    came. `asked` counts what the tests asked: {(route, status): number}."""

    def __init__(self, folder, start, fake):
        self.fake = fake
        self.kube, self.loki = Kube(folder / "kube"), Loki()
        self.silent = socket.socket()  # nobody listens there: connections are refused
        self.silent.bind(("127.0.0.1", 0))
        self.issuer = "http://127.0.0.1:%d" % self.silent.getsockname()[1]
        self.kube.put_service("yolo")
        data = Data(self.loki)
        data.begin(nanoseconds("2025-12-31T00:00:00Z"))
        data.requests([nanoseconds("2026-01-01T10:00:00Z")])
        self.app = start({"PROMETHEUS_URL": fake.url, **self.loki.settings, **self.kube.settings, "OIDC_ENABLE": "true",
                          "OIDC_ISSUERS": self.issuer, "OIDC_GROUPS": "vo.example.org", "OSCAR_METRICS_DEADLINE": "10s"})
        self.listening = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.target = "%s:%d" % self.listening.getsockname()
        self.nginx = Nginx(folder / "nginx", self.app.address, operator=self.listening)
        self.prometheus = Prometheus(folder / "scraping", configuration=self.configuration(), files=[RULES])
        self.asked = collections.Counter()
        wait_until(lambda: self.prometheus.series("oscar_metrics_build_info"), "the first scrape")

    def configuration(self):
        """The example, for this target, and in a hurry."""
        text = CONFIGURATION.read_text()
        for old, new in (("127.0.0.1:8081", self.target), ("scrape_interval: 30s", "scrape_interval: 250ms")):
            assert old in text
            text = text.replace(old, new)
        return "global:\n  evaluation_interval: 250ms\n" + text

    def ask(self, path, status, route=None, **how):
        answer = self.nginx.get(path, **how)
        assert answer.status == status, answer
        self.asked[route or path.split("?")[0], str(status)] += 1
        return answer

    def all_is_well(self):
        self.fake.answers(vector("1"))
        summary = self.ask(f"/system/metrics?{DAY}", 200, auth=ADMIN)
        assert summary.header("OSCAR-Metrics-Complete") == "true", summary.json()["sources"]
        self.ask(f"/system/metrics/breakdown?{DAY}&group_by=service", 200, auth=ADMIN)
        self.ask("/system/metrics/owners", 200, auth=ADMIN)
        self.ask(f"/system/metrics/yolo?{DAY}", 200, "/system/metrics/{serviceName}", auth=ADMIN)

    def all_backends_fail(self):
        self.fake.answers(Reply("no", 500))
        self.loki.answers(lambda asked, reply: refusal("no", 401))  # a 5xx would be asked again and again
        self.kube.fails("configmaps", *[internal_error()] * 99)
        for _ in range(9):  # far more than went well
            answer = self.ask(f"/system/metrics?{DAY}", 200, auth=ADMIN, headers={"Cache-Control": "no-cache"})
            assert {source["status"] for source in answer.json()["sources"]} == {"missing"}

    def strangers_and_mistakes(self):
        for auth in (None, basic(password="guessed"), "Bearer nonsense"):
            self.ask("/system/metrics", 401, auth=auth)
        bearer = "Bearer " + jose.token(jose.EcKey(), self.issuer)
        self.ask("/system/metrics", 503, auth=bearer)
        self.ask("/system/metrics/breakdown", 400, auth=ADMIN)
        self.ask("/system/metrics/a/b", 404, "other", auth=ADMIN)
        self.ask("/system/metrics", 405, auth=ADMIN, method="POST")

    def counted(self):
        """What Prometheus has seen of requests that are not the operator's."""
        return {(labels["route"], labels["status"]): value for labels, value in self.prometheus.series(
            'oscar_metrics_http_requests_total{route!~"/-/.*"} > 0')}

    def stop(self):
        for part in ("prometheus", "nginx"):
            if hasattr(self, part):
                getattr(self, part).stop()
        self.listening.close()
        self.silent.close()
        self.loki.close()
        self.kube.close()


@pytest.fixture(scope="module")
def scene(start_shared, shared_folder, shared_fake):
    scene = Scene(shared_folder, start_shared, shared_fake)
    yield scene
    scene.stop()


@pytest.fixture(scope="module")
def calm(scene):
    """Before anybody has asked for anything, with each alert evaluated."""
    wait_until(lambda: rules_without_error(scene), "every rule to be evaluated")
    # The first evaluation may have come before the first scrape.
    wait_until(lambda: not names_of_alerts(scene) & {"OscarMetricsAbsent"}, "the program to be found")
    return names_of_alerts(scene)


@pytest.fixture(scope="module")
def seen(scene, calm):
    """After some traffic of every kind, which Prometheus has seen to its end."""
    scene.all_is_well()
    scene.strangers_and_mistakes()
    scene.all_backends_fail()
    wait_until(lambda: sum(scene.counted().values()) >= sum(scene.asked.values()), "the traffic to be scraped")
    return scene


def rules_without_error(scene):
    """True once all rules have been evaluated; an error in one is the end."""
    groups = scene.prometheus.api("rules")["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    assert rules and not [rule for rule in rules if rule["health"] == "err"], rules
    return all(rule["health"] == "ok" for rule in rules)


def names_of_alerts(scene):
    return {alert["labels"]["alertname"] for alert in scene.prometheus.api("alerts")["alerts"]}


def with_values(expression):
    """With a value in place of each variable. The times span all that the tests do."""
    for name, value in (("$__rate_interval", "10m"), ("$__range", "1h"), ("$job", "oscar-metrics"), ("$instance", ".+")):
        expression = expression.replace(name, value)
    return expression


def test_a_calm_program_raises_no_alert(calm):
    assert calm == set()


def test_prometheus_has_seen_what_was_asked(seen):
    assert seen.counted() == dict(seen.asked)


def test_prometheus_evaluates_every_rule(seen, alerts):
    names = [rule["name"] for group in seen.prometheus.api("rules")["groups"] for rule in group["rules"]]
    assert names == [alert["alert"] for alert in alerts]
    assert rules_without_error(seen)


def test_what_is_missing_raises_alerts_that_name_it(seen):
    def raised():
        found = seen.prometheus.api("alerts")["alerts"]
        return {alert["labels"]["source"]: alert for alert in found
                if alert["labels"]["alertname"] == "OscarMetricsSourceMissing"}

    expected = {"service-inventory", "prometheus", "loki", "exposed-request-logs"}
    wait_until(lambda: set(raised()) >= expected, "the alerts to be there")
    assert set(raised()) == expected
    for source, alert in raised().items():
        assert alert["state"] == "pending", "it waits for its time"
        assert source in alert["annotations"]["summary"] and source in alert["annotations"]["description"]


@pytest.mark.parametrize("panel", PANELS, ids=title_of)
def test_a_panel_has_something_to_show(seen, panel):
    for target in panel["targets"]:
        series = seen.prometheus.series(with_values(target["expr"]))
        assert series, target["expr"]
        # What nobody asked for has no quantile and no ratio: not a number.
        assert [value for _, value in series if not math.isnan(value)], target["expr"]
        for labels, _ in series:
            for label in re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]):
                assert labels.get(label), (target, labels)


@pytest.mark.parametrize("expression", ANNOTATIONS)
def test_an_annotation_can_be_asked_for(seen, expression):
    seen.prometheus.series(with_values(expression))


def test_every_selector_means_something(seen, alerts):
    """No name or value of a label is misspelt: each selector has series behind it."""
    wanted = {selector for expression in QUERIES + [alert["expr"] for alert in alerts]
              for selector in promql.selectors(with_values(expression)) if selector[0] != "ALERTS"}
    assert len(wanted) > 40
    empty = [name + braces for name, braces in sorted(wanted)
             if not seen.prometheus.series(f"last_over_time({name}{braces}[10m])")]
    assert empty == []


def test_what_the_settings_turn_off_is_counted_as_off(start, folder):
    """It is missing from reports, which say so; there is nothing to be mended."""
    write(folder / "manager.log", request("2026-01-01T10:00:00Z", "/run/yolo", "a1@egi.eu"))
    (folder / "services").mkdir()
    app = start({"PROMETHEUS_URL": "none", "OSCAR_METRICS_LOG_FILES": folder / "manager.log",
                 "OSCAR_METRICS_SERVICES_DIR": folder / "services"})
    answer = app.summary(DAY)
    assert [(source["name"], source["notes"]) for source in answer.json()["sources"] if source["status"] == "missing"] == [
        ("prometheus", "not configured"), ("exposed-request-logs", "not configured")]
    assert answer.header("OSCAR-Metrics-Complete") == "false"
    counted = dict(re.findall(r'^oscar_metrics_source_reports_total(\{.*\}) ([1-9]\d*)$', app.get("/-/metrics").text, re.M))
    off = {labels: count for labels, count in counted.items() if 'status="off"' in labels}
    assert off == {'{source="prometheus",status="off"}': "1", '{source="exposed-request-logs",status="off"}': "1"}
    assert not [labels for labels in counted if 'status="missing"' in labels]
    assert len(counted) == len(answer.json()["sources"])


def families(text):
    """{name: type} of what the program shows."""
    return dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.M))


def family(name, known):
    """What a series of that name belongs to."""
    base = re.sub("_(bucket|sum|count)$", "", name)
    return base if known.get(base) == "histogram" else name


def test_the_dashboard_and_the_program_know_the_same_families(seen, alerts):
    known = families(seen.nginx.get("/-/metrics", server="operator").text)
    asked_for = {family(name, known) for query in QUERIES for name in promql.metrics(query)} - PROMETHEUS_OWN
    assert asked_for - set(known) == set()
    assert set(known) - asked_for == NOT_ON_THE_DASHBOARD
    of_alerts = {family(name, known) for alert in alerts for name in promql.metrics(alert["expr"])} - PROMETHEUS_OWN
    assert of_alerts - set(known) == set()


# ---- What is put into a cluster.

def test_the_example_is_a_configuration():
    result = promtool("check", "config", CONFIGURATION)
    assert result.returncode == 0, result.stdout


def test_the_example_for_pods_finds_the_operator_s_ports(tmp_path):
    """Debian's Prometheus has no discovery of pods: what it would find is given to it."""
    text = CONFIGURATION.read_text()
    begin = text.index("    #kubernetes_sd_configs:")
    [job] = read_yaml(text.replace(text[begin:], re.sub("^    #", "    ", text[begin:], flags=re.M)))[0]["scrape_configs"]
    assert job["kubernetes_sd_configs"] == [{"role": "pod", "namespaces": {"names": ["oscar"]}}]
    # Nobody listens on these ports.
    found = {"static_configs": [{"targets": [f"127.0.0.1:{port}"], "labels": {
        "__meta_kubernetes_namespace": "oscar", "__meta_kubernetes_pod_name": f"{pod}-1",
        "__meta_kubernetes_pod_label_app_kubernetes_io_name": pod, "__meta_kubernetes_pod_container_port_name": name}}
        for pod, port, name in (("oscar-metrics", 1, "http"), ("oscar-metrics", 2, "operator"), ("other", 3, "operator"))]}
    del job["kubernetes_sd_configs"], job["static_configs"]
    configuration = json.dumps({"scrape_configs": [{**job, **found}]})  # JSON is YAML
    prometheus = Prometheus(tmp_path / "discovering", configuration=configuration)
    try:
        targets = wait_until(lambda: prometheus.api("targets")["droppedTargets"] and prometheus.api("targets"),
                             "the targets to be found")
    finally:
        prometheus.stop()
    assert len(targets["droppedTargets"]) == 2
    [target] = targets["activeTargets"]
    assert target["scrapeUrl"] == "http://127.0.0.1:2/-/metrics"
    assert target["labels"] == {"job": "oscar-metrics", "instance": "127.0.0.1:2", "namespace": "oscar",
                                "pod": "oscar-metrics-1"}


def test_whoever_scrapes_finds_the_operator_s_port():
    [deployment] = read_yaml((ROOT / "deploy" / "kubernetes" / "base" / "deployment.yaml").read_text())
    pod = deployment["spec"]["template"]
    [port] = [port for port in pod["spec"]["containers"][0]["ports"] if port["name"] == "operator"]
    assert pod["metadata"]["annotations"] == {"prometheus.io/scrape": "true", "prometheus.io/path": "/-/metrics",
                                              "prometheus.io/port": str(port["containerPort"])}
    [monitor] = read_yaml((MONITORING / "podmonitor.yaml").read_text())
    [endpoint] = monitor["spec"]["podMetricsEndpoints"]
    assert (endpoint["port"], endpoint["path"]) == ("operator", "/-/metrics")
    labels = pod["metadata"]["labels"]
    assert monitor["spec"]["selector"]["matchLabels"].items() <= labels.items()
    assert labels[monitor["spec"]["jobLabel"]] == "oscar-metrics"
    assert "location = /-/metrics {" in (ROOT / "nginx" / "oscar-metrics-operator.conf").read_text()


def test_the_operator_s_rules_are_the_same():
    """The command that its file gives, but for kubectl."""
    command = re.search(r"^#     (\{ .*\}) \| kubectl", (MONITORING / "prometheusrule.yaml").read_text(), re.M)[1]
    made = subprocess.run(["bash", "-c", command], cwd=MONITORING, stdout=subprocess.PIPE, text=True, check=True).stdout
    [rule], [rules] = read_yaml(made), read_yaml(RULES.read_text())
    assert rule["kind"] == "PrometheusRule" and rule["spec"] == rules


def test_grafana_s_sidecar_gets_the_dashboard_as_it_is():
    made = subprocess.run(["kubectl", "kustomize", MONITORING], stdout=subprocess.PIPE, text=True, check=True,
                          timeout=PATIENCE * 3).stdout
    [config] = read_yaml(made)
    assert config["kind"] == "ConfigMap" and config["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert json.loads(config["data"]["dashboard.json"]) == DASHBOARD
