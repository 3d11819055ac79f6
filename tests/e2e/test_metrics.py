"""/-/metrics: every figure against what was asked, counted here a second time."""
import collections
import contextlib
import pathlib
import re
import socket
import subprocess
import threading
import time

import pytest

from harness import fcgi, figures
from harness.app import ROOT
from harness.client import ADMIN, basic
from harness.fake_prometheus import Cut, Endless, Hold, Reply, vector
from harness.figures import scrape
from harness.hostile_oidc import GROUP, HostileOidc
from harness.jose import EcKey
from harness.kube import Container, Kube
from harness.logdata import request, write
from harness.loki import HOUR
from harness.lokidata import nanoseconds, query
from harness.nginx import Nginx
from harness.prometheus import Prometheus
from harness.tls import self_signed
from harness.together import together
from harness.waiting import PATIENCE, wait_until

DAY = "start=2026-01-01T00:00:00Z&end=2026-01-02T00:00:00Z"
SUMMARY, BREAKDOWN, OWNERS = "/system/metrics", "/system/metrics/breakdown", "/system/metrics/owners"
SERVICE, OTHER = "/system/metrics/{serviceName}", "other"
ROUTES = [SUMMARY, BREAKDOWN, OWNERS, SERVICE, "/-/healthy", "/-/ready", "/-/metrics", OTHER]
STATUSES = ["200", "400", "401", "403", "404", "405", "499", "500", "503"]
BACKENDS = ["prometheus", "loki", "kubernetes", "oidc"]
OUTCOMES = ["ok", "status_4xx", "status_5xx", "status_other", "refused", "tls", "timeout", "broken", "too_large", "invalid",
            "cancelled", "enough"]
SOURCES = ["service-inventory", "prometheus", "loki", "request-logs", "exposed-request-logs", "country-attribution"]
BOUNDS = [.001, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 25, 50, float("inf")]
QUEUE = 64

# Every family: its type, and the values of its labels.
FAMILIES = {
    "oscar_metrics_build_info": ("gauge", {"version": None}),
    "process_start_time_seconds": ("gauge", {}),
    "process_cpu_seconds_total": ("counter", {}),
    "process_resident_memory_bytes": ("gauge", {}),
    "oscar_metrics_allocated_bytes": ("gauge", {}),
    "process_open_fds": ("gauge", {}),
    "process_max_fds": ("gauge", {}),
    "oscar_metrics_http_requests_total": ("counter", {"route": ROUTES, "status": STATUSES}),
    "oscar_metrics_http_request_duration_seconds": ("histogram", {"route": ROUTES}),
    "oscar_metrics_http_response_bytes_total": ("counter", {"route": ROUTES}),
    "oscar_metrics_reports_total": ("counter", {"complete": ["true", "false"]}),
    "oscar_metrics_source_reports_total": ("counter", {"source": SOURCES, "status": ["ok", "partial", "missing", "off"]}),
    "oscar_metrics_reports_refused_total": ("counter", {}),
    "oscar_metrics_reports_running": ("gauge", {}),
    "oscar_metrics_reports_running_max": ("gauge", {}),
    "oscar_metrics_reports_waiting": ("gauge", {}),
    "oscar_metrics_reports_waiting_max": ("gauge", {}),
    "oscar_metrics_workers": ("gauge", {}),
    "oscar_metrics_workers_busy": ("gauge", {}),
    "oscar_metrics_connections_waiting": ("gauge", {}),
    "oscar_metrics_connections_waiting_max": ("gauge", {}),
    "oscar_metrics_backend_requests_total": ("counter", {"backend": BACKENDS, "outcome": OUTCOMES}),
    "oscar_metrics_backend_request_duration_seconds": ("histogram", {"backend": BACKENDS}),
    "oscar_metrics_backend_requests_running": ("gauge", {"backend": BACKENDS}),
    "oscar_metrics_backend_configured": ("gauge", {"backend": BACKENDS}),
    "oscar_metrics_backend_last_success_timestamp_seconds": ("gauge", {"backend": BACKENDS}),
    "oscar_metrics_backend_last_failure_timestamp_seconds": ("gauge", {"backend": BACKENDS}),
    "oscar_metrics_backend_up": ("gauge", {"backend": []}),  # of those that were asked
    "oscar_metrics_memory_logs_seconds": ("gauge", {"memory": ["requests"]}),
    "oscar_metrics_memory_entries": ("gauge", {"memory": ["requests", "tokens"]}),
    "oscar_metrics_memory_bytes": ("gauge", {"memory": ["requests", "tokens"]}),
    "oscar_metrics_memory_max_bytes": ("gauge", {"memory": ["requests", "tokens"]}),
    "oscar_metrics_memory_hits_total": ("counter", {"memory": ["requests", "tokens"]}),
    "oscar_metrics_memory_misses_total": ("counter", {"memory": ["requests", "tokens"]}),
    "oscar_metrics_memory_evictions_total": ("counter", {"memory": ["requests", "tokens"]}),
    "oscar_metrics_settings_last_reload_successful": ("gauge", {}),
    "oscar_metrics_settings_last_reload_timestamp_seconds": ("gauge", {}),
    "oscar_metrics_settings_reloads_total": ("counter", {"result": ["success", "failure"]}),
}

RUNNING, WAITING = "oscar_metrics_reports_running", "oscar_metrics_reports_waiting"
REQUESTS, BYTES = "oscar_metrics_http_requests_total", "oscar_metrics_http_response_bytes_total"
TIMES, BACKEND_TIMES = "oscar_metrics_http_request_duration_seconds", "oscar_metrics_backend_request_duration_seconds"
ENDED, UP = "oscar_metrics_backend_requests_total", "oscar_metrics_backend_up"
ANSWERED_AT = "oscar_metrics_backend_last_success_timestamp_seconds"
FAILED_AT = "oscar_metrics_backend_last_failure_timestamp_seconds"


class Asking:
    """Asks, and keeps what Prometheus should know of it."""

    def __init__(self, app):
        self.app = app
        self.before = scrape(app)
        self.requests, self.bytes = collections.Counter(), collections.Counter()
        self.reports, self.sources = collections.Counter(), collections.Counter()

    def count(self, route, status, length):
        self.requests[route, status] += 1
        self.bytes[route] += length

    def get(self, path, query_="", route=None, **how):
        answer = self.app.get(path, query_, **how)
        self.count(route or path, str(answer.status), len(answer.body))
        complete = answer.header("OSCAR-Metrics-Complete")
        if complete:
            self.reports[complete] += 1
        return answer

    def report(self, path, query_="", **how):
        answer = self.get(path, query_, **how)
        self.sources.update((source["name"], "off" if source.get("notes") == "not configured" else source["status"])
                            for source in answer.json()["sources"])
        return answer

    def grown(self, name, *by):
        """What a counter has more than at the beginning, without the operator's own routes."""
        old, new = self.before.all(name, *by), scrape(self.app).all(name, *by)
        return {key: new[key] - old[key] for key in new if new[key] != old[key] and "/-/metrics" not in key}


@pytest.fixture
def begin_report():
    """begin_report(app, name): a report that asks Prometheus once; its connection is closed in the end."""
    with contextlib.ExitStack() as stack:
        yield lambda app, name="yolo": stack.enter_context(
            contextlib.closing(app.begin(f"/system/metrics/{name}", DAY + "&metric=cpu-hours")))


@pytest.fixture
def hold(fake):
    hold = Hold(Reply(vector("1")))
    fake.answers(hold)
    return hold


@pytest.fixture
def two(start, fake):
    """Two workers, and so one report at a time."""
    return start({"OSCAR_METRICS_WORKERS": 2, "PROMETHEUS_URL": fake.url})


def settled(app):
    """Figures once no report runs any more: a slot is given back after its answer."""
    def quiet():
        seen = scrape(app)
        return seen if seen(RUNNING) == 0 and seen("oscar_metrics_workers_busy") == 1 else None

    return wait_until(quiet, "all reports to have ended")


# ---- The page.

def test_every_family_with_its_labels_is_there_from_the_beginning(start):
    seen = scrape(start())
    assert seen.types == {name: kind for name, (kind, _) in FAMILIES.items()}
    for name, (kind, labels) in FAMILIES.items():
        if labels == {"version": None}:
            continue
        expected = {()}
        for label, values in labels.items():
            expected = {(*some, (label, value)) for some in expected for value in values}
        expected = {tuple(sorted(each)) for each in expected}
        if kind == "histogram":
            for each in expected:
                assert list(seen.histogram(name, **dict(each))[0]) == BOUNDS
        else:
            assert {each for found, each in seen.samples if found == name} == expected, name


def test_the_page_describes_every_family():
    page = (ROOT / "docs" / "operations.md").read_text()
    rows = re.findall(r"^\| `((?:oscar_metrics|process)_\w+)` \|([^|]*)\|", page, re.M)
    assert {name: re.findall(r"`(\w+)`", labels) for name, labels in rows} == \
        {name: list(labels) for name, (_, labels) in FAMILIES.items()}
    values = {value for _, labels in FAMILIES.values() for values in labels.values() for value in values or ()}
    for value in values - {"true", "success", "failure"}:
        assert value in page, value


def test_promtool_finds_nothing_to_say(start, fake):
    app = start({"PROMETHEUS_URL": fake.url})
    app.summary(DAY)
    app.get("/nowhere")
    done = subprocess.run(["promtool", "check", "metrics"], input=app.get("/-/metrics", auth=None).body,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=PATIENCE, check=False)
    assert (done.returncode, done.stdout) == (0, b"")


def test_head_has_all_but_the_body(start):
    app = start()
    answer = app.get("/-/metrics", auth=None, method="HEAD")
    assert (answer.status, answer.body) == (200, b"")
    assert answer.header("Content-Type") == figures.CONTENT_TYPE
    assert int(answer.header("Content-Length")) > 10_000
    assert scrape(app)(BYTES, route="/-/metrics") == 0, "nothing was sent"
    assert app.get("/-/metrics", auth=None, method="POST").status == 405


def test_credentials_make_no_difference(start):
    app = start()
    for auth in (None, ADMIN, basic(password="wrong"), "Bearer x"):
        assert app.get("/-/metrics", auth=auth).status == 200


def test_the_process_is_what_the_kernel_says(start):
    began = time.time()
    app = start()
    version = (ROOT / "configure.ac").read_text().split("AC_INIT([oscar-metrics], [")[1].split("]")[0]
    seen = scrape(app)
    assert seen("oscar_metrics_build_info", version=version) == 1
    assert began - 1 <= seen("process_start_time_seconds") <= time.time()
    assert 0 < seen("process_cpu_seconds_total") < PATIENCE
    of_kernel = pathlib.Path(f"/proc/{app.process.pid}")
    resident = int(re.search(r"VmRSS:\s*(\d+) kB", (of_kernel / "status").read_text())[1]) * 1024
    assert resident / 2 < seen("process_resident_memory_bytes") < resident * 2
    assert seen("process_max_fds") == int(re.search(r"Max open files +(\d+)", (of_kernel / "limits").read_text())[1])
    # With the scrape's own connection, which is closed when the kernel is asked.
    for count in (0, 7):
        with contextlib.ExitStack() as stack:
            for _ in range(count):
                stack.enter_context(app.connect())
            wait_until(lambda: scrape(app)("process_open_fds") == len(list((of_kernel / "fd").iterdir())) + 1,
                       "as many as the kernel has")


# ---- Requests.

def test_requests_are_counted_by_route_and_status(start, fake):
    fake.answers(vector("1"))
    asking = Asking(start({"PROMETHEUS_URL": fake.url}))
    for _ in range(3):
        asking.report(SUMMARY, DAY)
    asking.report(SUMMARY + "/", DAY, route=SUMMARY)
    asking.get(SUMMARY, DAY, method="HEAD")
    asking.get(SUMMARY, "end=x")
    asking.get(SUMMARY, "start=x")
    asking.get(SUMMARY, auth=None)
    asking.get(SUMMARY, auth=basic(password="wrong"), method="HEAD")
    asking.get(SUMMARY, method="POST")
    asking.report(BREAKDOWN, DAY + "&group_by=user")
    asking.get(BREAKDOWN, DAY + "&group_by=user&format=csv")
    asking.get(BREAKDOWN, DAY)
    asking.get(OWNERS)
    asking.get(OWNERS, auth="Bearer x")
    asking.report("/system/metrics/yolo", DAY + "&metric=cpu-hours", route=SERVICE)
    asking.get("/system/metrics/Yolo", DAY, route=SERVICE)
    asking.get(SUMMARY, DAY + "&owner=nobody")
    asking.get("/system/metrics/a/b", route=OTHER)
    asking.get("/elsewhere\"\\\n", route=OTHER)
    asking.get("/elsewhere", method="DELETE", route=OTHER)
    asking.get("/-/healthy")
    asking.get("/-/ready")
    assert {status for _, status in asking.requests} >= {"200", "400", "401", "404", "405", "503"}
    assert asking.grown(REQUESTS, "route", "status") == dict(asking.requests)
    assert asking.grown(BYTES, "route") == {route: count for route, count in asking.bytes.items() if count}
    assert asking.grown("oscar_metrics_reports_total", "complete") == dict(asking.reports)


def test_each_request_has_its_time(start, fake):
    asking = Asking(start({"PROMETHEUS_URL": fake.url}))
    began = time.monotonic()
    for path, route in (("/system/metrics", SUMMARY), ("/nowhere", OTHER), ("/system/metrics/yolo", SERVICE)):
        for _ in range(3):
            asking.get(path, DAY, route=route)
    took = time.monotonic() - began
    seen = scrape(asking.app)
    total = 0
    for route in (SUMMARY, OTHER, SERVICE):
        _, sum_, count = seen.histogram(TIMES, route=route)
        assert count == 3 and sum_ > 0
        total += sum_
    assert total < took
    for route in (BREAKDOWN, OWNERS):
        assert seen.histogram(TIMES, route=route) == (dict.fromkeys(BOUNDS, 0), 0, 0)


def test_time_in_the_queue_is_time(two, fake, hold, begin_report):
    first = begin_report(two)
    hold.wait_held()
    second = begin_report(two)
    wait_until(lambda: scrape(two)(WAITING) == 1, "the second to wait")
    began = time.monotonic()
    # Long enough to be told from nothing.
    wait_until(lambda: time.monotonic() - began > 0.06, "a moment to pass")
    hold.release()
    assert first.answer().status == second.answer().status == 200
    buckets, sum_, count = scrape(two).histogram(TIMES, route=SERVICE)
    assert (buckets[.05], count) == (0, 2) and sum_ > 0.12


def test_sources_are_counted_as_the_answers_say(start, fake, folder):
    log = folder / "log"
    write(log, request("2026-01-01T10:00:00Z", "/run/yolo", "a1@egi.eu"))
    fake.answers(vector("1"))
    asking = Asking(start({"PROMETHEUS_URL": fake.url, "OSCAR_METRICS_LOG_FILES": log}))
    for path, query_ in ((SUMMARY, DAY), (BREAKDOWN, DAY + "&group_by=service"), (SUMMARY, DAY)):
        asking.report(path, query_)
    fake.answers(vector("1", warnings=["half of it"]))
    asking.report(SUMMARY, DAY)
    fake.answers(Reply("no", 500))
    asking.report(SUMMARY, DAY)
    asking.get(SUMMARY, "end=x")
    assert asking.sources["prometheus", "ok"] == 2 and asking.sources["prometheus", "partial"] == 1
    assert asking.sources["prometheus", "missing"] == 1 and asking.sources["country-attribution", "ok"] == 5
    assert asking.grown("oscar_metrics_source_reports_total", "source", "status") == dict(asking.sources)
    assert asking.grown("oscar_metrics_reports_total", "complete") == {"false": 5}


def test_complete_reports_are_told_apart(start, fake, folder):
    (folder / "services").mkdir()
    for name in ("log", "exposed"):
        write(folder / name, request("2026-01-01T10:00:00Z", "/run/yolo", "a1@egi.eu"))
    asking = Asking(start({"PROMETHEUS_URL": fake.url, "OSCAR_METRICS_LOG_FILES": folder / "log",
                           "OSCAR_METRICS_EXPOSED_LOG_FILES": folder / "exposed",
                           "OSCAR_METRICS_SERVICES_DIR": folder / "services"}))
    fake.answers(vector("1"))
    asking.report(SUMMARY, DAY)
    asking.get(OWNERS)
    fake.answers(Reply("no", 500))
    asking.report(SUMMARY, DAY)
    assert asking.reports == {"true": 1, "false": 2}, "owners are not in the folder's definitions"
    assert asking.grown("oscar_metrics_reports_total", "complete") == dict(asking.reports)


def test_a_client_that_goes_away(two, fake, hold, begin_report):
    connection = begin_report(two)
    hold.wait_held()
    connection.close()
    hold.wait_gone()
    seen = wait_until(lambda: (found := scrape(two)).some(REQUESTS, "route", "status").get((SERVICE, "499")) and found,
                      "the client to be missed")
    assert seen(REQUESTS, route=SERVICE, status="499") == 1
    assert seen(BYTES, route=SERVICE) == 0
    assert seen.some("oscar_metrics_reports_total", "complete") == {}
    assert seen(ENDED, backend="prometheus", outcome="cancelled") == 1
    assert seen.all(UP, "backend") == {}, "that says nothing of the backend"


def test_who_runs_waits_and_is_refused(two, fake, hold, begin_report):
    seen = settled(two)
    assert (seen("oscar_metrics_workers"), seen("oscar_metrics_reports_running_max")) == (2, 1)
    assert (seen("oscar_metrics_reports_waiting_max"), seen("oscar_metrics_connections_waiting_max")) == (QUEUE, 1024)
    connections = [begin_report(two)]
    hold.wait_held()
    seen = scrape(two)
    assert (seen(RUNNING), seen(WAITING), seen("oscar_metrics_workers_busy")) == (1, 0, 2)
    assert seen("oscar_metrics_backend_requests_running", backend="prometheus") == 1
    connections += [begin_report(two) for _ in range(QUEUE)]
    wait_until(lambda: scrape(two)(WAITING) == QUEUE, "the queue to be full")
    for path in (SUMMARY, OWNERS):
        assert two.get(path).status == 503
    seen = scrape(two)
    assert seen("oscar_metrics_reports_refused_total") == 2
    assert (seen(REQUESTS, route=SUMMARY, status="503"), seen(REQUESTS, route=OWNERS, status="503")) == (1, 1)
    hold.release()
    for connection in connections:
        assert connection.answer().status == 200
    seen = settled(two)
    assert (seen(WAITING), seen("oscar_metrics_backend_requests_running", backend="prometheus")) == (0, 0)
    assert seen(REQUESTS, route=SERVICE, status="200") == 1 + QUEUE
    assert seen("oscar_metrics_reports_refused_total") == 2


def test_connections_whose_request_has_not_arrived(start):
    app = start()
    waiting = "oscar_metrics_connections_waiting"
    assert scrape(app)(waiting) == 0
    with contextlib.ExitStack() as stack:
        silent = [stack.enter_context(app.connect()) for _ in range(5)]
        for connection in silent[:3]:
            connection.send(fcgi.request(app.params("/-/healthy"))[:20])
        wait_until(lambda: scrape(app)(waiting) == 5, "them to be let in")
        silent[3].close()
        silent[4].close()
        wait_until(lambda: scrape(app)(waiting) == 3, "two to be gone")
    wait_until(lambda: scrape(app)(waiting) == 0, "all to be gone")


# ---- Backends.

def cpu_hours(app, status=200):
    answer = app.service("yolo", DAY + "&metric=cpu-hours")
    assert answer.status == status, answer
    return answer


def backend_of(app, name):
    return next(each for each in app.get("/-/ready", auth=None).json()["backends"] if each["name"] == name)


# Of Prometheus: what it answers, the outcome, the reason in words.
ANSWERS = {
    "a vector": (vector("1"), "ok", None),
    "a refusal": (Reply('{"status":"error","errorType":"bad_data","error":"no"}', 400), "status_4xx", None),
    "not let in": (Reply("no", 401), "status_4xx", "HTTP status 401"),
    "forbidden": (Reply("no", 403), "status_4xx", "HTTP status 403"),
    "an error": (Reply("no", 500), "status_5xx", "HTTP status 500"),
    "a redirection": (Reply("", 302, headers=[("Location", "http://127.0.0.1:1/")]), "status_other", "HTTP status 302"),
    "cut": (Cut(vector("1") + " " * 10_000), "broken", "the connection broke: .+"),
    "without an end": (Endless(), "too_large", r"the answer is larger than \d+ bytes"),
}


@pytest.mark.parametrize("answer, outcome, reason", ANSWERS.values(), ids=ANSWERS)
def test_what_a_backend_answers(start, fake, answer, outcome, reason):
    fake.answers(answer)
    app = start({"PROMETHEUS_URL": fake.url})
    began = time.time()
    cpu_hours(app)
    check_backend(app, "prometheus", outcome, len(fake.asked), reason, began)


def check_backend(app, name, outcome, count, reason, began):
    seen = scrape(app)
    assert seen.some(ENDED, "backend", "outcome") == {(name, outcome): count}
    _, sum_, ended = seen.histogram(BACKEND_TIMES, backend=name)
    assert ended == count and 0 < sum_ < time.time() - began
    assert seen.all(UP, "backend") == {name: int(reason is None)}
    good, bad = seen(ANSWERED_AT, backend=name), seen(FAILED_AT, backend=name)
    assert began <= (good if reason is None else bad) <= time.time()
    assert (bad if reason is None else good) == 0
    ready = backend_of(app, name)
    assert ready["status"] == ("ok" if reason is None else "failed")
    assert (ready["last_answer"] is None, ready["last_failure"] is None) == (reason is not None, reason is None)
    assert reason is None and "reason" not in ready or re.fullmatch(reason, ready["reason"]), ready
    failures = re.findall(rf" {name}_ms=\d+ {name}_requests=(\d+) {name}_failures=(\d+)", app.stderr())
    assert failures == [(str(count), str(0 if reason is None else count))]


def test_nobody_listens(start):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        app = start({"PROMETHEUS_URL": "http://127.0.0.1:%d" % silent.getsockname()[1]})
        began = time.time()
        cpu_hours(app)
        check_backend(app, "prometheus", "refused", 1, "connection refused", began)
        failed = scrape(app)(FAILED_AT, backend="prometheus")
        # Not tried again yet: counted, and no news.
        cpu_hours(app)
        seen = scrape(app)
        assert seen(ENDED, backend="prometheus", outcome="refused") == 2
        assert seen(FAILED_AT, backend="prometheus") == failed
        assert backend_of(app, "prometheus")["reason"] == "connection refused"


def test_a_certificate_of_somebody_else(start, folder):
    (folder / "tls").mkdir()
    server = HostileOidc(tls=self_signed(folder / "tls"))
    try:
        app = start({"PROMETHEUS_URL": server.url})
        began = time.time()
        cpu_hours(app)
        check_backend(app, "prometheus", "tls", 1, "the certificate is not accepted: .+", began)
    finally:
        server.close()


def test_a_url_that_cannot_be_used(start):
    app = start({"PROMETHEUS_URL": "http://[nonsense/"})
    began = time.time()
    cpu_hours(app)
    check_backend(app, "prometheus", "invalid", 1, "the URL is no usable .+", began)


def test_no_answer_before_the_deadline(start, fake, hold):
    app = start({"PROMETHEUS_URL": fake.url, "OSCAR_METRICS_DEADLINE": "2s"})
    answer = cpu_hours(app)
    assert answer.source("prometheus")["status"] == "missing"
    seen = scrape(app)
    outcomes = seen.some(ENDED, "backend", "outcome")
    # What had no answer for half of the time is cancelled, and asked for in pieces, which end with the deadline.
    wait_until(lambda: sum(outcomes.values()) == len(fake.asked), "as many to have been asked")
    assert outcomes["prometheus", "timeout"] >= 1 and set(outcomes) <= {("prometheus", "timeout"),
                                                                        ("prometheus", "cancelled")}
    assert seen.all(UP, "backend") == {"prometheus": 0}
    assert backend_of(app, "prometheus")["reason"] == "no answer before the deadline"
    assert seen.histogram(TIMES, route=SERVICE)[0][1] == 0, "it took nearly two seconds"


def test_a_stream_of_which_enough_was_seen(start, folder):
    """Of pods' logs, what comes after the range is not read; Kubernetes' own requests are counted for it alone."""
    kube = Kube(folder / "kube")
    try:
        lines = [(f"2026-01-01T10:{minute:02}:00.000000000Z", "x" * 60_000) for minute in range(60)]
        kube.put_pod("oscar-1", {"x": Container(lines)})
        app = start(kube.settings)
        app.breakdown("start=2026-01-01T10:00:00Z&end=2026-01-01T10:00:30Z&group_by=user").json()
        seen = scrape(app)
        outcomes = seen.some(ENDED, "backend", "outcome")
        assert outcomes["kubernetes", "enough"] >= 1 and set(outcomes) == {("kubernetes", "ok"), ("kubernetes", "enough")}
        assert sum(outcomes.values()) == len(kube.asked)
        assert seen.all(UP, "backend") == {"kubernetes": 1}
    finally:
        kube.close()


def test_a_backend_that_comes_back_is_up(start, fake):
    fake.answers(Reply("no", 500))
    app = start({"PROMETHEUS_URL": fake.url})
    cpu_hours(app)
    failures = len(fake.asked)
    fake.answers(vector("1"))
    cpu_hours(app)
    seen = scrape(app)
    assert seen.some(ENDED, "backend", "outcome") == {("prometheus", "status_5xx"): failures,
                                                      ("prometheus", "ok"): len(fake.asked) - failures}
    assert seen.all(UP, "backend") == {"prometheus": 1}
    assert 0 < seen(FAILED_AT, backend="prometheus") <= seen(ANSWERED_AT, backend="prometheus")
    ready = backend_of(app, "prometheus")
    assert ready["status"] == "ok" and ready["last_failure"] and ready["last_answer"] and "reason" not in ready


CONFIGURED = {
    "nothing": ({}, set()),
    "prometheus": ({"PROMETHEUS_URL": "http://127.0.0.1:9/"}, {"prometheus"}),
    "loki": ({"LOKI_URL": "http://127.0.0.1:9/"}, {"loki"}),
    "loki, but files": ({"LOKI_URL": "http://127.0.0.1:9/", "OSCAR_METRICS_LOG_FILES": "/nowhere"}, set()),
    "kubernetes": ({"OSCAR_METRICS_KUBE_URL": "http://127.0.0.1:9/"}, {"kubernetes"}),
    "kubernetes for pods' logs alone": ({"OSCAR_METRICS_KUBE_URL": "http://127.0.0.1:9/",
                                         "OSCAR_METRICS_SERVICES_DIR": "/"}, {"kubernetes"}),
    "kubernetes, but a folder and Loki": ({"OSCAR_METRICS_KUBE_URL": "http://127.0.0.1:9/", "LOKI_URL":
                                           "http://127.0.0.1:9/", "OSCAR_METRICS_SERVICES_DIR": "/"}, {"loki"}),
    "oidc": ({"OIDC_ENABLE": "true"}, {"oidc"}),
}


@pytest.mark.parametrize("settings, expected", CONFIGURED.values(), ids=CONFIGURED)
def test_who_is_configured(start, settings, expected):
    app = start(settings)
    seen = scrape(app)
    assert set(seen.some("oscar_metrics_backend_configured", "backend")) == expected
    ready = app.get("/-/ready", auth=None).json()
    assert [each["name"] for each in ready["backends"]] == BACKENDS
    for each in ready["backends"]:
        assert each == {"name": each["name"], "configured": each["name"] in expected, "status": "unknown",
                        "last_answer": None, "last_failure": None}


def test_nobody_is_asked_for_figures(start, fake, loki):
    app = start({"PROMETHEUS_URL": fake.url, **loki.settings})
    for path in ("/-/metrics", "/-/ready", "/-/healthy"):
        assert app.get(path, auth=None).status == 200
    assert fake.asked == [] and loki.asked == []


# ---- Memory.

T = nanoseconds("2025-03-10T12:00:00Z")
HITS, MISSES = "oscar_metrics_memory_hits_total", "oscar_metrics_memory_misses_total"


def memory(app, of="requests"):
    """(hits, misses)"""
    seen = scrape(app)
    return seen(HITS, memory=of), seen(MISSES, memory=of)


@pytest.mark.parametrize("hours", [1, 31 * 24])
def test_hours_of_loki_are_remembered(start_loki, loki, data, hours):
    data.begin(T)
    data.spread(T, T + hours * HOUR, 3000, exposed=300)
    app = start_loki()
    data.check(app, T, T + hours * HOUR - 1)
    # Each hour of both logs was read once.
    assert memory(app) == (0, 2 * hours)
    seen = scrape(app)
    assert seen("oscar_metrics_memory_logs_seconds", memory="requests") == 2 * hours * 3600
    entries, held = (seen(f"oscar_metrics_memory_{what}", memory="requests") for what in ("entries", "bytes"))
    assert entries >= 2 * hours and held > 2 * hours * 40
    assert seen("oscar_metrics_memory_max_bytes", memory="requests") == 256 * 1024 * 1024
    assert seen("oscar_metrics_memory_evictions_total", memory="requests") == 0
    data.check(app, T, T + hours * HOUR - 1)
    assert memory(app) == (2 * hours, 2 * hours)
    # A part of an hour is read anew, and not among the hours.
    app.breakdown(query(T, T + HOUR // 2, "&group_by=user")).json()
    assert memory(app) == (2 * hours, 2 * hours + 1)
    assert scrape(app)("oscar_metrics_memory_logs_seconds", memory="requests") == 2 * hours * 3600


def test_what_does_not_fit_makes_room(start_loki, data):
    data.begin(T)
    data.many_rows(T, 24, 1500)
    app = start_loki({"OSCAR_METRICS_MEMORY": "1MiB"})
    data.check(app, T, T + 24 * HOUR - 1)
    seen = scrape(app)
    assert seen("oscar_metrics_memory_evictions_total", memory="requests") > 0
    assert seen("oscar_metrics_memory_bytes", memory="requests") <= 1024 * 1024
    assert seen("oscar_metrics_memory_max_bytes", memory="requests") == 1024 * 1024
    assert seen("oscar_metrics_memory_logs_seconds", memory="requests") < 2 * 24 * 3600


def test_hours_of_log_files_are_remembered(start, folder):
    for name, hours in (("a", (0, 1, 5)), ("b", (1, 7))):
        write(folder / f"log-{name}", *(request(f"2026-01-01T{hour:02}:30:00Z", "/run/yolo", "a1@egi.eu")
                                        for hour in hours for _ in range(3)))
    app = start({"OSCAR_METRICS_LOG_FILES": folder / "log-*"})
    for turn in (0, 1):
        assert app.breakdown(DAY + "&group_by=user").json()["items"][0]["executions_count"] == 15
        assert memory(app) == (2 * turn, 2)
        assert scrape(app)("oscar_metrics_memory_logs_seconds", memory="requests") == 5 * 3600


@pytest.fixture
def provider():
    server = HostileOidc()
    yield server
    server.close()


def test_tokens_are_remembered(start, folder, provider):
    (folder / "services").mkdir()
    issuer = provider.issuer("/x", EcKey())
    app = start({"OIDC_ENABLE": "true", "OIDC_ISSUERS": issuer.url, "OIDC_GROUPS": GROUP,
                 "OSCAR_METRICS_SERVICES_DIR": folder / "services"})
    alice, bob = ("Bearer " + issuer.token(sub) for sub in ("alice@example.org", "bob@example.org"))
    steps = [(alice, DAY, 200, (0, 1)), (alice, DAY, 200, (1, 1)), (alice, "end=x", 400, (2, 1)), (bob, DAY, 200, (2, 2)),
             (bob, DAY, 200, (3, 2)), (ADMIN, DAY, 200, (3, 2)), ("Bearer x", DAY, 401, (3, 2))]
    for auth, query_, status, expected in steps:
        assert app.get(SUMMARY, query_, auth=auth).status == status
        assert memory(app, "tokens") == expected
    seen = scrape(app)
    assert seen("oscar_metrics_memory_entries", memory="tokens") == 2
    # Discovery, keys, and each user once.
    assert seen.some(ENDED, "backend", "outcome") == {("oidc", "ok"): 4}


def test_a_token_that_is_refused_says_nothing_of_its_provider(start, folder, provider):
    (folder / "services").mkdir()
    issuer = provider.issuer("/x", EcKey())
    issuer.userinfo = Reply("no", 401)
    app = start({"OIDC_ENABLE": "true", "OIDC_ISSUERS": issuer.url, "OIDC_GROUPS": GROUP,
                 "OSCAR_METRICS_SERVICES_DIR": folder / "services"})
    assert app.get(SUMMARY, DAY, auth="Bearer " + issuer.token()).status == 401
    seen = scrape(app)
    assert seen.some(ENDED, "backend", "outcome") == {("oidc", "ok"): 2, ("oidc", "status_4xx"): 1}
    assert seen.all(UP, "backend") == {"oidc": 1}


# ---- Many at once, and a real Prometheus.

def test_counters_never_fall_and_are_exact_in_the_end(start, fake):
    fake.answers(vector("1"))
    app = start({"PROMETHEUS_URL": fake.url})
    paths = [(SUMMARY, DAY, SUMMARY), (SUMMARY, "end=x", SUMMARY), ("/system/metrics/yolo", DAY, SERVICE),
             ("/nowhere", "", OTHER), ("/-/healthy", "", "/-/healthy")]
    before = scrape(app)
    done, faults = threading.Event(), []

    def watch():
        last = before
        while not done.is_set():
            seen = scrape(app)
            for key, value in last.samples.items():
                if seen.types[seen.family(key[0])] != "gauge" and seen.samples[key] < value:
                    faults.append((key, value, seen.samples[key]))
            for route in ROUTES:
                count = seen.histogram(TIMES, route=route)[2]
                if count != sum(seen(REQUESTS, route=route, status=status) for status in STATUSES):
                    faults.append(route)
            last = seen

    watcher = threading.Thread(target=watch)
    watcher.start()
    sent = collections.Counter()
    lock = threading.Lock()

    def ask(number):
        for turn in range(40):
            path, query_, route = paths[(number + turn) % len(paths)]
            answer = app.get(path, query_)
            with lock:
                sent[route, str(answer.status), "requests"] += 1
                sent[route, "bytes"] += len(answer.body)

    try:
        together(8, ask)
    finally:
        done.set()
        watcher.join()
    assert faults == []
    seen = settled(app)
    for route in (SUMMARY, SERVICE, OTHER, "/-/healthy"):
        assert seen(BYTES, route=route) == sent[route, "bytes"]
        for status in STATUSES:
            assert seen(REQUESTS, route=route, status=status) == sent[route, status, "requests"], (route, status)
    assert sum(value for key, value in sent.items() if key[-1] == "requests") == 8 * 40
    assert sum(seen.some(ENDED, "backend", "outcome").values()) == len(fake.asked)


def test_a_real_prometheus_reads_it_through_nginx(start, folder, fake):
    app = start({"PROMETHEUS_URL": fake.url})
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listening:
        nginx = Nginx(folder / "nginx", app.address, operator=listening)
        try:
            for auth, status in ((ADMIN, 200), (ADMIN, 200), (None, 401)):
                assert nginx.get(f"/system/metrics?{DAY}", auth=auth).status == status
            assert nginx.get("/-/metrics").status == 404, "not on the public location"
            assert nginx.get("/-/metrics", server="operator").header("Content-Type") == figures.CONTENT_TYPE
            prometheus = Prometheus(folder / "scraping", configuration="""
scrape_configs:
  - job_name: oscar-metrics
    scrape_interval: 100ms
    scrape_timeout: 100ms
    metrics_path: /-/metrics
    static_configs: [{targets: ["127.0.0.1:%d"]}]
""" % listening.getsockname()[1])
            try:
                found = wait_until(lambda: prometheus.series(
                    'sum by (status) (oscar_metrics_http_requests_total{route="/system/metrics"}) > 0'), "a scrape")
                assert sorted((labels["status"], value) for labels, value in found) == [("200", 2), ("401", 1)]
                [(_, middle)] = prometheus.series('histogram_quantile(0.5, sum by (le) (oscar_metrics_http_request_duration'
                                                  '_seconds_bucket{route="/system/metrics"}))')
                assert 0 < middle < PATIENCE
            finally:
                prometheus.stop()
        finally:
            nginx.stop()
